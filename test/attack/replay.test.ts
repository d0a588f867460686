// A call that is sent a second time because its token was refused, under attack: the second time it is the same call with another token, and nothing else.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { accessToken, startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { createCaller } from '../support/gate-call.ts';
import { connect, exchange, parseAnswers } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { HostileUpstream, RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
let hostile: HostileUpstream;
let react: (bytes: number) => string;
let gate: Gate;
let clock = Date.now();
let refreshes = 0;
const { call } = createCaller(() => gate);

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  hostile = await HostileUpstream.start((socket) => {
    socket.write(react(hostile.connections), 'latin1');
    socket.on('data', () => socket.write(react(hostile.connections), 'latin1'));
  });
});
afterAll(async () => {
  await Promise.all([upstream.stop(), hostile.stop()]);
});
beforeEach(async () => {
  refreshes = 0;
  hostile.received = '';
  upstream.requests.length = 0;
  gate = await startGate(
    {
      routes: [
        { path: '/api', upstream: upstream.url, headers: { claims: { 'X-User-Id': 'sub' } } },
        { path: '/small', upstream: upstream.url, limits: { body: '1kb' } },
        { path: '/hostile', upstream: hostile.url, timeout: { idle: '1s' } },
      ],
    },
    {
      now: () => clock,
      refreshTokens: (tokens) => {
        refreshes += 1;
        const brought = { ...tokens, accessToken: `new-of-${tokens.claims['sub']}`, expiresInMs: 3_600_000 };
        return Promise.resolve({
          kind: 'refreshed',
          tokens: { ...brought, refreshExpiresInMs: undefined },
          unverifiedIdToken: undefined,
        });
      },
    },
  );
  refuseOldTokens();
});
afterEach(async () => {
  upstream.reset();
  await gate.stop();
});

/** A session whose token is old enough for a 401 to have it refreshed. */
async function signIn(): Promise<string> {
  const cookie = await gate.signIn();
  clock += 120_000;
  return cookie;
}

function refuseOldTokens(): void {
  upstream.answer = ({ headers }, response, body) => {
    if (headers.authorization === `Bearer ${accessToken}`) response.writeHead(401).end('no');
    else response.end(body);
  };
}

const bytesOf = (method: string, target: string, lines: string[], body = ''): Buffer => {
  const head = [`${method} ${target} HTTP/1.1`, `Host: ${gate.host}`, 'Sec-Fetch-Site: same-origin', ...lines];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1');
};

test('forty users at once: each call goes out again with its own user’s token and claims, whoever refreshed first (TK-11, TK-03)', async () => {
  const people = await Promise.all(
    Array.from({ length: 40 }, async (_, at) => ({
      sub: `user-${at}`,
      cookie: await gate.signIn({ sub: `user-${at}` }),
    })),
  );
  clock += 120_000;
  const answers = await Promise.all(
    people.flatMap(({ sub, cookie }) =>
      ['a', 'b', 'c'].map(async (mark) => {
        const body = Buffer.from(`${mark} of ${sub}`);
        return { sub, ...(await call('/api/x', { cookie, method: 'POST', body })), sent: body.toString() };
      }),
    ),
  );
  for (const { status, body, sent } of answers) expect([status, body]).toEqual([200, sent]);
  for (const { headers, body } of upstream.requests) {
    const sub = body.toString().split(' of ')[1]!;
    expect(headers['x-user-id']).toBe(sub);
    expect([`Bearer ${accessToken}`, `Bearer new-of-${sub}`]).toContain(headers.authorization);
  }
  expect(refreshes).toBe(people.length);
});

describe('the same call, byte for byte (TK-11, PRX-13)', () => {
  const inner = 'GET /api/smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
  test.each<[how: string, lines: string[], body: string]>([
    ['with a length', [`Content-Length: ${inner.length}`], inner],
    ['in chunks', ['Transfer-Encoding: chunked'], `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`],
    [
      'in chunks of one byte',
      ['Transfer-Encoding: chunked'],
      `${Array.from(inner, (byte) => `1\r\n${byte}\r\n`).join('')}0\r\n\r\n`,
    ],
    ['asked for with Expect', ['Expect: 100-continue', `Content-Length: ${inner.length}`], inner],
    ['with a length that Connection names', ['Connection: content-length', `Content-Length: ${inner.length}`], inner],
  ])('a request within its body stays a body, twice: %s (PX-01, HD-04)', async (_how, lines, body) => {
    const cookie = await signIn();
    const sent = ['Connection: close', `Cookie: ${cookie}`, 'Authorization: Bearer evil', 'X-User-Id: evil', ...lines];
    const { answers } = await exchange(gate.address, bytesOf('POST', '/api/x?y=1', sent, body));
    expect(answers.filter(({ status }) => status !== 100).map(({ status, body }) => [status, body])).toEqual([
      [200, inner],
    ]);
    expect(upstream.requests.map((seen) => [seen.target, seen.body.toString(), seen.headers.authorization])).toEqual([
      ['/api/x?y=1', inner, `Bearer ${accessToken}`],
      ['/api/x?y=1', inner, 'Bearer new-of-alice'],
    ]);
    for (const { rawHeaders } of upstream.requests) {
      const names = rawHeaders.map(([name]) => name.toLowerCase());
      expect(JSON.stringify(rawHeaders)).not.toMatch(/evil|expect/i);
      expect(names).not.toContain('cookie');
      for (const name of ['authorization', 'host', 'via', 'x-user-id']) {
        expect([name, names.filter((one) => one === name).length]).toEqual([name, 1]);
      }
      expect(names.filter((name) => name === 'content-length' || name === 'transfer-encoding')).toHaveLength(1);
    }
  });

  test('calls behind it on the same connection are answered after it, in their order, each once', async () => {
    const cookie = await signIn();
    const one = (mark: string, last = false) =>
      bytesOf(
        'POST',
        `/api/${mark}`,
        [`Cookie: ${cookie}`, ...(last ? ['Connection: close'] : []), 'Content-Length: 1'],
        mark,
      );
    const { answers } = await exchange(gate.address, Buffer.concat([one('1'), one('2'), one('3', true)]));
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [200, '1'],
      [200, '2'],
      [200, '3'],
    ]);
    expect(upstream.requests.filter(({ headers }) => headers.authorization === 'Bearer new-of-alice')).toHaveLength(3);
  });

  test('a body beyond the route’s limit goes out not even once (DL-06)', async () => {
    const cookie = await signIn();
    expect((await call('/small', { cookie, method: 'POST', body: Buffer.alloc(1_025) })).status).toBe(413);
    expect([upstream.requests.length, refreshes]).toEqual([0, 0]);
    expect((await call('/small', { cookie, method: 'POST', body: Buffer.alloc(1_024), chunked: true })).status).toBe(
      200,
    );
    expect(upstream.requests.map(({ body }) => body.length)).toEqual([1_024, 1_024]);
  });
});

describe('an upstream that says more than it was asked', () => {
  const refusal = 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno';
  const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';

  test('an answer behind its 401 is the answer to nobody’s call (PRX-09, TK-03)', async () => {
    const cookie = await signIn();
    let asked = 0;
    react = () => {
      asked += 1;
      return asked === 1 ? refusal + poison : 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';
    };
    const bodies = [];
    for (let turn = 0; turn < 5; turn += 1) bodies.push((await call('/hostile', { cookie })).body);
    expect(bodies).toEqual(['good', 'good', 'good', 'good', 'good']);
    expect(hostile.received.split('GET /hostile')).toHaveLength(1 + 1 + 5);
  });

  test('a 401 that never ends holds its call for the route’s idle time and no longer; nothing is sent again (SEC-04, PX-10)', async () => {
    const cookie = await signIn();
    react = () => 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\nhalf';
    const socket = connect(gate.address);
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.write(bytesOf('GET', '/hostile', [`Cookie: ${cookie}`]));
    await until(() => parseAnswers(text).length > 0 || socket.closed);
    socket.destroy();
    expect(parseAnswers(text).map(({ status }) => status)).toEqual([504]);
    expect(hostile.received.match(/GET \/hostile/g)).toHaveLength(1);
  });
});
