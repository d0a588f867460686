// Cheap input that is to cost much: fat cookie jars, heads that dribble, tokens that ask for hours of arithmetic, answers that break off.
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { postLogoutToken } from '../support/logout-token.ts';
import { connect, exchange } from '../support/raw-client.ts';
import type { RawAnswer } from '../support/raw-client.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { until } from '../support/until.ts';
import { HostileUpstream } from '../support/upstream.ts';

let party: RelyingParty;
let breaking: HostileUpstream;
let host: string;
let cookie: string;
beforeAll(async () => {
  const half = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';
  breaking = await HostileUpstream.start((socket) => socket.write(half, () => socket.resetAndDestroy()));
  party = await startRelyingParty({
    config: (_op, api) => ({
      routes: [
        { path: '/api', upstream: api.url },
        { path: '/breaking', upstream: breaking.url, auth: 'none' },
        { path: '/open', upstream: api.url, auth: 'none' },
        { path: '/stream', upstream: api.url, auth: 'none', timeout: { idle: '2s' } },
      ],
    }),
  });
  host = new URL(party.postern.publicUrl).host;
  cookie = `postern-${host.split(':')[1]!}=${party.sessionCookieOf(await party.signedInBrowser())!}`;
});
beforeEach(() => {
  party.api.requests.length = 0;
});
afterAll(async () => {
  await party[Symbol.asyncDispose]();
  await breaking.stop();
});

async function send(start: string, lines: string[], body = ''): Promise<RawAnswer> {
  const head = [`${start} HTTP/1.1`, `Host: ${host}`, 'Sec-Fetch-Site: same-origin', 'Connection: close', ...lines];
  const { answers } = await exchange(
    party.postern.address,
    Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1'),
  );
  expect(answers).toHaveLength(1);
  return answers[0]!;
}

test('a jar of 15 KB of other cookies does not keep a user out, and ours are small (DL-03)', async () => {
  const others = Array.from({ length: 15 }, (_, at) => `other-${at}=${'x'.repeat(1_000)}`).join('; ');
  expect((await send('GET /api/x', [`Cookie: ${others}; ${cookie}`])).status).toBe(200);
  expect(party.api.last.headers.cookie).toBeUndefined();
  expect((await send('GET /bff/session', [`Cookie: ${others}; ${cookie}`])).body).toContain('"authenticated":true');
  expect(cookie.length).toBeLessThan(1_024);
  const tooMuch = await send('GET /bff/session', [`Cookie: ${others}; ${others}; ${others}; ${cookie}`]);
  expect([tooMuch.status, tooMuch.body]).toEqual([431, expect.stringContaining('headers_too_large')]);
});

test('nine hundred cookies with names like those of pending logins cost a login hardly more than nine hundred others (DL-03)', async () => {
  const navigation = ['Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document'];
  const lineOf = (kind: string): string => {
    const names = Array.from(
      { length: 900 },
      (_, at) => `postern-${host.split(':')[1]}-${kind}-${`${at}`.padStart(12, 'x')}`,
    );
    return `Cookie: ${names.join('=;')}=`;
  };
  const cpuOf = async (kind: string): Promise<number> => {
    const before = process.cpuUsage();
    for (let times = 0; times < 10; times += 1) {
      const answer = await send('GET /bff/login', [...navigation, lineOf(kind)]);
      expect([answer.status, JSON.stringify(answer.headers).length < 8_192]).toEqual([302, true]);
    }
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  await cpuOf('xx');
  expect((await cpuOf('tx')) / (await cpuOf('xx'))).toBeLessThan(10);
});

test('a form that comes with the cookie of a session that has ended gets 401 and is forgotten: nothing of it comes back or goes on (DL-15)', async () => {
  const browser = await party.signedInBrowser();
  const old = `postern-${host.split(':')[1]!}=${party.sessionCookieOf(browser)!}`;
  await browser.fetch('/bff/logout', { method: 'POST' });
  for (const accept of ['application/json', 'text/html']) {
    const lines = [`Cookie: ${old}`, `Accept: ${accept}`, 'Content-Type: application/x-www-form-urlencoded'];
    const answer = await send('POST /api/orders', [...lines, 'Content-Length: 18'], 'card=4111CANARY111');
    expect([answer.status, answer.body]).toEqual([401, expect.stringContaining('session_expired')]);
    expect(JSON.stringify(answer)).not.toContain('CANARY');
  }
  expect(party.api.requests).toEqual([]);
  expect(party.postern.log.join('')).not.toContain('4111CANARY111');
});

test.each([
  [
    'two thousand million rounds of PBKDF2',
    { alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 2_000_000_000, p2s: 'c2FsdHNhbHQ' },
  ],
  ['a compressed content', { alg: 'dir', enc: 'A128GCM', zip: 'DEF' }],
  ['a critical header that nobody knows', { alg: 'RS256', crit: ['exp-ish'], 'exp-ish': 1 }],
  ['a key of its own', { alg: 'RS256', jku: 'http://127.0.0.1:9/keys', jwk: { kty: 'oct', k: 'AA' } }],
])('a logout token with %s is refused at once (DL-13)', async (_what, header) => {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  for (const token of [
    `${part(header)}.AAAA.AAAA.${part('x'.repeat(5_000))}.AAAA`,
    `${part(header)}.${part({ sub: 'alice' })}.AAAA`,
  ]) {
    const watch = startStopwatch();
    expect((await postLogoutToken(party.postern, token)).status).toBe(400);
    expect(watch.elapsedMs()).toBeLessThan(500);
    watch.stop();
  }
});

test('five hundred heads that come a byte at a time keep nobody else waiting (DL-01)', async () => {
  const slow = Array.from({ length: 500 }, () => {
    const socket = connect(party.postern.address);
    socket.on('error', () => undefined);
    socket.write('GET /open HTTP/1.1\r\nHo');
    return socket;
  });
  for (const socket of slow) if (socket.connecting) await once(socket, 'connect');
  const dribble = setInterval(() => slow.forEach((socket) => socket.write('s')), 250);
  const watch = startStopwatch();
  const took: number[] = [];
  for (let call = 0; call < 100; call += 1) {
    const from = performance.now();
    expect((await send('GET /api/x', [`Cookie: ${cookie}`])).status).toBe(200);
    took.push(watch.betweenMs(from, performance.now()));
  }
  watch.stop();
  clearInterval(dribble);
  for (const socket of slow) socket.destroy();
  expect(took.sort((one, other) => one - other)[98]).toBeLessThan(500);
});

test('two hundred answers that break off are each ended once, none looks whole, and none is answered twice (PX-11, PX-08)', async () => {
  const before = party.postern.log.length;
  const texts = await Promise.all(
    Array.from({ length: 200 }, () =>
      exchange(party.postern.address, `GET /breaking HTTP/1.1\r\nHost: ${host}\r\n\r\n`),
    ),
  );
  for (const { text } of texts) {
    expect(text.match(/HTTP\/1\.1 /g) ?? []).toHaveLength(1);
    expect(text).toMatch(/^HTTP\/1\.1 (?:200|502) /);
    if (text.startsWith('HTTP/1.1 200')) expect(text).not.toMatch(/\r\n0\r\n\r\n$/);
  }
  await until(() => party.postern.log.slice(before).filter((line) => line.includes('"msg":"request"')).length === 200);
  expect(party.postern.log.slice(before).join('')).not.toMatch(/ERR_HTTP_HEADERS_SENT|"level":"(error|fatal)"/);
});

test('an event stream outlives the idle limit for as long as a piece comes now and then, and is cut when none does (PX-10)', async () => {
  let speak: NodeJS.Timeout | undefined;
  party.api.answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n');
    speak = setInterval(() => response.write(': still here\n\n'), 400);
  };
  const socket = connect(party.postern.address);
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(`GET /stream HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const from = performance.now();
  await until(() => socket.closed || performance.now() - from > 5_000);
  expect(socket.closed).toBe(false);
  clearInterval(speak);
  party.api.reset();
  await until(() => socket.closed);
});
