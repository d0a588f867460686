// How a request is sent on and its answer streamed back, and what happens when the client does not stay for it.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { OutgoingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { accessToken, startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { createCaller } from '../support/gate-call.ts';
import { connect, exchange } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
let gate: Gate;
let cookie: string;
const { call, open } = createCaller(() => gate);

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  gate = await startGate({
    routes: [
      { path: '/api', upstream: upstream.url },
      { path: '/open', upstream: upstream.url, auth: 'none' },
      { path: '/impatient', upstream: upstream.url, auth: 'none', timeout: { headers: '2s' } },
    ],
  });
  cookie = await gate.signIn();
});

afterAll(async () => {
  await gate.stop();
  await upstream.stop();
});

afterEach(() => {
  upstream.reset();
  upstream.requests.length = 0;
});

describe('bodies', () => {
  test('stream both ways unchanged, whatever is in them (PX-07, PRX-18)', async () => {
    const sent = randomBytes(3_000_000);
    upstream.answer = (_, response, body) => void response.writeHead(200, { 'content-encoding': 'x-odd' }).end(body);
    for (const chunked of [false, true]) {
      const answer = await call('/api/echo', { cookie, method: 'POST', body: sent, chunked });
      expect(digest(answer.bytes)).toBe(digest(sent));
      expect(digest(upstream.last.body)).toBe(digest(sent));
      expect(answer.headers['content-encoding']).toBe('x-odd');
    }
  });

  test('a body goes with any method, and no request without one gets one', async () => {
    for (const method of ['GET', 'DELETE', 'OPTIONS', 'PATCH', 'PUT']) {
      await call('/api', { cookie, method, body: Buffer.from('hello'), chunked: true });
      expect([method, upstream.last.method, upstream.last.body.toString()]).toEqual([method, method, 'hello']);
      await call('/api', { cookie, method });
      expect([method, upstream.last.body.toString()]).toEqual([method, '']);
    }
  });

  test('HEAD, 204 and 304 have no body and leave the connection in order (PRX-17)', async () => {
    upstream.answer = (request, response) => {
      const status = Number(request.url?.split('/').pop());
      response
        .writeHead(status, { etag: '"x"', ...(request.method === 'HEAD' ? { 'content-length': '5' } : {}) })
        .end();
    };
    for (const [method, status] of [
      ['HEAD', 200],
      ['GET', 204],
      ['GET', 304],
      ['HEAD', 404],
    ] as const) {
      const answer = await call(`/api/${status}`, { cookie, method });
      expect(answer).toMatchObject({ status, body: '', headers: { etag: '"x"' } });
      expect(answer.headers['content-length']).toBe(method === 'HEAD' ? '5' : undefined);
    }
  });

  test('interim answers are not passed on, and the final one is (PRX-17)', async () => {
    upstream.answer = (_, response) => {
      response.writeEarlyHints({ link: '</x>; rel=preload' });
      response.writeProcessing();
      response.end('done');
    };
    const { answers } = await exchange(
      gate.address,
      `GET /open HTTP/1.1\r\nHost: ${gate.host}\r\nConnection: close\r\n\r\n`,
    );
    expect(answers.map(({ status, body }) => [status, body])).toEqual([[200, 'done']]);
  });

  test('a small answer of any bytes is unchanged, whether it says its length or not', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    for (const head of [{ 'content-length': '256' }, { 'transfer-encoding': 'chunked' }, {}]) {
      upstream.answer = (_, response) => void response.writeHead(200, head).end(bytes);
      expect((await call('/open')).bytes.equals(bytes)).toBe(true);
    }
    upstream.answer = (_, response) => void response.writeHead(200, { 'content-length': '0' }).end();
    expect((await call('/open')).bytes.length).toBe(0);
  });

  test.each<[string, OutgoingHttpHeaders]>([
    ['though it says how many there will be', { 'content-length': '9' }],
    ['whose number nobody knows', {}],
  ])('the first bytes of an answer do not wait for the last, %s', async (_which, head) => {
    let finish = (): void => undefined;
    upstream.answer = (_, response) => {
      response.writeHead(200, head).write('first');
      finish = () => void response.end('last');
    };
    const response = await open('/open');
    const chunks: string[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
    await until(() => chunks.join('') === 'first');
    finish();
    await until(() => chunks.join('') === 'firstlast' && response.complete);
  });

  test('a slow upload outlives the time limit for the answer’s head, which counts from its last byte', async () => {
    async function* slowly() {
      for (let part = 0; part < 5; part += 1) {
        yield Buffer.from('x');
        await new Promise((resolve) => setTimeout(resolve, 600));
      }
    }
    const answer = await call('/impatient', { method: 'POST', stream: Readable.from(slowly()) });
    expect(answer.status).toBe(200);
    expect(upstream.last.body.toString()).toBe('xxxxx');
  });
});

describe('when the client goes away (PX-09, PRX-16)', () => {
  test('the upstream’s request is cancelled, before and during its answer', async () => {
    for (const begin of [false, true]) {
      upstream.answer = (_, response) => {
        if (begin) response.write('x');
      };
      const earlier = { aborted: upstream.aborted, asked: upstream.requests.length };
      const socket = connect(gate.address);
      socket.on('error', () => undefined);
      socket.write(`GET /open HTTP/1.1\r\nHost: ${gate.host}\r\n\r\n`);
      if (begin) await once(socket, 'data');
      else await until(() => upstream.requests.length === earlier.asked + 1);
      socket.destroy();
      await until(() => upstream.aborted === earlier.aborted + 1);
    }
  });

  test('200 clients that hang up leave no connection behind', async () => {
    upstream.answer = () => undefined;
    const sockets = Array.from({ length: 200 }, () => {
      const socket = connect(gate.address);
      socket.on('error', () => undefined);
      socket.write(`GET /open HTTP/1.1\r\nHost: ${gate.host}\r\n\r\n`);
      return socket;
    });
    await until(() => upstream.requests.length === 200);
    for (const socket of sockets) socket.destroy();
    await until(async () => (await upstream.openConnections()) < 20);
  });
});

test('500 calls at once each carry their own token, over connections that are used again (PX-05)', async () => {
  await Promise.all(Array.from({ length: 500 }, () => call('/api', { cookie })));
  const received = upstream.requests.slice();
  expect(received).toHaveLength(500);
  expect(new Set(received.map(({ headers }) => headers.authorization))).toEqual(new Set([`Bearer ${accessToken}`]));
  await call('/api', { cookie });
  await call('/api', { cookie });
  const ports = upstream.requests.slice(-2).map(({ remotePort }) => remotePort);
  expect(received.map(({ remotePort }) => remotePort)).toEqual(expect.arrayContaining(ports));
});

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
