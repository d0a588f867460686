// How a request is sent on and its answer streamed back, and what happens when either side fails.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { until } from '../support/until.ts';
import { accessToken, startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { createCaller } from '../support/gate-call.ts';
import { connect, exchange } from '../support/raw-client.ts';
import { HostileUpstream, RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
let hostile: HostileUpstream;
let react: Parameters<typeof HostileUpstream.start>[0];
let gate: Gate;
let cookie: string;
const { call, open } = createCaller(() => gate);

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  hostile = await HostileUpstream.start((socket) => react(socket));
  const timeout = { connect: '200ms', headers: '300ms', idle: '300ms' };
  gate = await startGate({
    routes: [
      { path: '/api', upstream: upstream.url },
      { path: '/open', upstream: upstream.url, auth: 'none' },
      { path: '/hostile', upstream: hostile.url, auth: 'none' },
      { path: '/hostile/silent', upstream: hostile.url, auth: 'none', timeout },
      { path: '/falls-silent', upstream: hostile.url, auth: 'none', timeout: { headers: '25s', idle: '200ms' } },
      { path: '/impatient', upstream: upstream.url, auth: 'none', timeout: { headers: '2s' } },
      { path: '/closed', upstream: 'http://127.0.0.1:1', auth: 'none' },
      { path: '/nowhere', upstream: 'http://does-not-exist.invalid', auth: 'none' },
      { path: '/not-tls', upstream: hostile.url.replace('http:', 'https:'), auth: 'none' },
      { path: '/never-tls', upstream: hostile.url.replace('http:', 'https:'), auth: 'none', timeout },
    ],
  });
  cookie = await gate.signIn();
});

afterAll(async () => {
  await gate.stop();
  await upstream.stop();
  await hostile.stop();
});

let before: { requests: number };

beforeEach(() => {
  before = { requests: upstream.requests.length };
});

afterEach(() => {
  upstream.reset();
});

const askedUpstream = (): number => upstream.requests.length - before.requests;
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

  test('the first bytes of an answer do not wait for the last, though it says how many there will be', async () => {
    let finish = (): void => undefined;
    upstream.answer = (_, response) => {
      response.writeHead(200, { 'content-length': '9' }).write('first');
      finish = () => void response.end('last');
    };
    const response = await open('/open');
    const chunks: string[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
    await until(() => chunks.join('') === 'first');
    finish();
    await until(() => chunks.join('') === 'firstlast' && response.complete);
  });

  test('the first bytes of an answer do not wait for the last', async () => {
    let finish = (): void => undefined;
    upstream.answer = (_, response) => {
      response.write('first');
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

describe('when the upstream fails (PRX-09, PRX-15, PX-08, SEC-04)', () => {
  const badUpstreams: [string, typeof react, number, string][] = [
    ['closes before it answers', (socket) => socket.destroy(), 502, 'upstream_unreachable'],
    ['resets', (socket) => socket.resetAndDestroy(), 502, 'upstream_unreachable'],
    [
      'closes in the middle of the head',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-'),
      502,
      'upstream_unreachable',
    ],
    ['speaks HTTP/0.9', (socket) => socket.end('<html>hello</html>'), 502, 'upstream_invalid'],
    ['gives a malformed status', (socket) => socket.end('HTTP/1.1 OK\r\n\r\n'), 502, 'upstream_invalid'],
    [
      'gives two different lengths',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'),
      502,
      'upstream_invalid',
    ],
    [
      'gives a length and chunks',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
      502,
      'upstream_invalid',
    ],
    ['has a NUL in a header', (socket) => socket.end('HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n'), 502, 'upstream_invalid'],
    [
      'has an endless head',
      (socket) => socket.end(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`),
      502,
      'upstream_invalid',
    ],
    [
      'switches protocols unasked',
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
      502,
      'upstream_invalid',
    ],
    [
      'switches to a protocol that nobody asked for',
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n'),
      502,
      'upstream_invalid',
    ],
    [
      'has a status below 100',
      (socket) => socket.end('HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n'),
      502,
      'upstream_invalid',
    ],
    ['never answers', () => undefined, 504, 'upstream_timeout'],
  ];

  test.each(badUpstreams)('one that %s', async (_, reaction, status, code) => {
    react = reaction;
    const answer = await call(code === 'upstream_timeout' ? '/hostile/silent?secret=1' : '/hostile/x?secret=1');
    expect(answer).toMatchObject({ status, problem: { code, status } });
    expect(answer.body).not.toMatch(/127\.0\.0\.1|secret|ECONN|HPE|\bat \//);
  });

  test('one that nobody listens at, or whose name does not exist', async () => {
    expect(await call('/closed')).toMatchObject({ status: 502, problem: { code: 'upstream_unreachable' } });
    expect(await call('/nowhere')).toMatchObject({ status: 502, problem: { code: 'upstream_unreachable' } });
  });

  test('one that is no TLS server, or never finishes the handshake, within the time for connecting', async () => {
    react = (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    expect(await call('/not-tls')).toMatchObject({ status: 502, problem: { code: 'upstream_unreachable' } });
    react = () => undefined;
    expect(await call('/never-tls')).toMatchObject({ status: 504, problem: { code: 'upstream_timeout' } });
  });

  test('failures are counted by route and logged without the query', async () => {
    react = (socket) => socket.destroy();
    await call('/hostile/x?secret=1');
    expect(await gate.metric('postern_upstream_errors_total')).toContainEqual(
      expect.stringContaining('http_route="/hostile",code="upstream_unreachable"'),
    );
    expect(gate.log.join('')).not.toContain('secret=1');
  });

  test('an answer that is cut short does not look whole', async () => {
    react = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', () => socket.destroy());
    };
    const { text } = await exchange(gate.address, `GET /hostile HTTP/1.1\r\nHost: ${gate.host}\r\n\r\n`);
    expect(text).toContain('hello');
    expect(text).not.toMatch(/0\r\n\r\n$/);
    react = (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', () => socket.destroy());
    await expect(call('/hostile')).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  });

  test('an answer that falls silent is cut at the idle limit', async () => {
    react = (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
    const startedAt = performance.now();
    await expect(call('/falls-silent')).rejects.toThrow(/aborted|hang up|ECONNRESET/);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  test('the connection of the client is good for the next request, even with half a body unsent', async () => {
    const next = `GET /open HTTP/1.1\r\nHost: ${gate.host}\r\nConnection: close\r\n\r\n`;
    const upload = `POST /closed HTTP/1.1\r\nHost: ${gate.host}\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1_000_000)}`;
    const { answers } = await exchange(gate.address, upload + next);
    expect(answers.map(({ status }) => status)).toEqual([502, 200]);
  });

  test('an answer that comes before the whole body has been read is passed on', async () => {
    upstream.answerEarly = true;
    upstream.answer = (_, response) => void response.writeHead(413).end('too much');
    const answer = await call('/open', { method: 'POST', body: Buffer.alloc(200_000), chunked: false });
    expect(answer).toMatchObject({ status: 413, body: 'too much' });
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
    await until(() => askedUpstream() === 200);
    for (const socket of sockets) socket.destroy();
    await until(async () => (await upstream.openConnections()) < 20);
  });
});

test('500 calls at once each carry their own token, over connections that are used again (PX-05)', async () => {
  await Promise.all(Array.from({ length: 500 }, () => call('/api', { cookie })));
  const received = upstream.requests.slice(before.requests);
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
