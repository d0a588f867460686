// Thousands of strange requests, made at random from the pieces that mean something to us: no bytes of a stranger make a 5xx, a crash,
// a session, or a log line that is none.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { endpointsOfApp } from '../support/documented-endpoints.ts';
import { exchange, firstAnswer } from '../support/raw-client.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { appDirectory } from '../support/shop.ts';

let party: RelyingParty;
let host: string;
/** Of somebody who is signed in. */
let cookie: { name: string; value: string };

beforeAll(async () => {
  party = await startRelyingParty({
    config: (_op, api) => ({
      routes: [
        { path: '/api', upstream: api.url },
        { path: '/optional', upstream: api.url, auth: 'optional' },
        { path: '/open', upstream: api.url, auth: 'none', encodedSlash: 'pass' },
      ],
      spa: { directory: appDirectory },
    }),
  });
  host = new URL(party.postern.publicUrl).host;
  const value = party.sessionCookieOf(await party.signedInBrowser())!;
  cookie = { name: `postern-${host.split(':')[1]!}`, value };
});
afterAll(() => party[Symbol.asyncDispose]());

/** Every line is one JSON object, and none of them is about a defect. */
function expectSoundLog(): void {
  const levels = party.postern.log.map((line) => {
    expect(line.indexOf('\n')).toBe(line.length - 1);
    return (JSON.parse(line) as { level: string }).level;
  });
  expect(levels.filter((level) => level === 'error' || level === 'fatal')).toEqual([]);
}

const withoutLineEnds = (text: string): string => text.replaceAll(/[\r\n]/g, '');
const printable = (maxLength: number) =>
  fc.string({ maxLength }).map((text) => withoutLineEnds(text).replaceAll(' ', ''));
// One in ten holds control characters, which Node's parser refuses before we see them.
const latin1 = (maxLength: number) =>
  fc
    .oneof(
      { weight: 9, arbitrary: fc.uint8Array({ maxLength, min: 0x80 }) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength }) },
    )
    .map((bytes) => withoutLineEnds(Buffer.from(bytes).toString('latin1')));

const method = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS') },
  { weight: 1, arbitrary: fc.oneof(fc.constantFrom('TRACE', 'CONNECT', 'PROPFIND', 'QUERY', 'get'), printable(8)) },
);

const path = fc.constantFrom(
  ...['', '/', '/api', '/optional', '/open', '/open/x', '/bff', '/bff/%6cogin', '/assets', '/index.html'],
  ...endpointsOfApp().map((row) => row.replace(/^\w+ /, '').replace(/:\w+/, 'x')),
);
const query = fc.record(
  {
    code: printable(20),
    state: printable(50),
    iss: fc.webUrl(),
    error: printable(20),
    ticket: printable(50),
    returnTo: fc.string(),
  },
  { requiredKeys: [] },
);
const rest = fc.oneof(
  { weight: 3, arbitrary: fc.webSegment().map((segment) => `/${segment}`) },
  query.map((parameters) => `?${new URLSearchParams(parameters)}`),
  printable(40),
  latin1(40),
  fc.constantFrom(
    '/..',
    '/%2e%2e',
    '//',
    '/%',
    '/%00',
    '/%0a',
    '/%ff',
    '/a%2fb',
    '?',
    '?%',
    '?state=a&state=b',
    '#x',
    ';a',
  ),
);
const target = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(path, fc.oneof(fc.constant(''), rest)).map((parts) => parts.join('')) },
  { weight: 1, arbitrary: fc.oneof(printable(30), latin1(30), fc.webUrl()) },
);

const headerName = fc.constantFrom(
  ...['Accept', 'Origin', 'Sec-Fetch-Site', 'Sec-Fetch-Mode', 'Sec-Fetch-Dest', 'Sec-Purpose', 'X-CSRF', 'Referer'],
  ...['User-Agent', 'Authorization', 'Via', 'Forwarded', 'X-Forwarded-For', 'X-Forwarded-Proto', 'X-Request-Id'],
  ...['Connection', 'Expect', 'TE', 'Trailer', 'Range', 'If-None-Match', 'If-Modified-Since', 'X_Y'],
  ...['Content-Type', 'Accept-Encoding', 'traceparent', 'Cookie'],
);
const headerValue = fc.oneof(
  { weight: 1, arbitrary: fc.oneof(printable(30), latin1(30)) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...['', '0', '1', 'null', 'none', 'same-origin', 'cross-site', 'navigate', 'document', 'text/html', '*', 'gzip'],
      ...['close', 'keep-alive, cookie', '100-continue', 'bytes=0-', 'bytes=9-1', 'x-y', 'a=b'],
    ),
  },
);
const header = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(headerName, headerValue).map((parts) => parts.join(': ')) },
  // Framings that leave nobody waiting for the rest; the others are in smuggling.test.ts and pipelining.test.ts.
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...['Content-Length: -1', 'Transfer-Encoding: gzip', 'Upgrade: websocket', 'Host: other'],
    ),
  },
);

const cookieSuffix = fc.constantFrom('', '', '-tx-abcdefghijkl', '-tx-', '-tx-__proto__', '-logins', 'x');
const cookieValue = fc.oneof(
  printable(60),
  latin1(60),
  fc.constantFrom('s:', 's%3A', '%', '1.k.AAAA', '"', 'j:{}', '9.9', '1'),
);

const strangeRequest = fc.record({
  method,
  target,
  headers: fc.array(header, { maxLength: 4 }),
  cookies: fc.array(fc.tuple(cookieSuffix, cookieValue), { maxLength: 2 }),
  body: fc.option(latin1(20)),
});

test('3,000 strange requests: each is answered, none with a 5xx, and none carries a token or a cookie of ours to the API (RT-10, CK-13, LOGS-03, SEC-07)', async () => {
  await fc.assert(
    fc.asyncProperty(strangeRequest, async ({ method, target, headers, cookies, body }) => {
      const pairs = cookies.map(([suffix, value]) => `${cookie.name}${suffix}=${value}`);
      const cookieLine = pairs.length === 0 ? [] : [`Cookie: ${pairs.join('; ')}`];
      const framing = body === null ? [] : [`Content-Length: ${body.length}`];
      const head = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...cookieLine, ...framing, ...headers];
      const bytes = Buffer.from(`${head.join('\r\n')}\r\n\r\n${body ?? ''}`, 'latin1');
      const { status } = await firstAnswer(party.postern.address, bytes);
      expect(status).toBeGreaterThanOrEqual(100);
      expect(status).toBeLessThan(500);
    }),
    { numRuns: 3_000 },
  );
  expect(party.api.requests.length).toBeGreaterThan(50);
  for (const { headers, target: seen } of party.api.requests) {
    expect([seen, headers.authorization, JSON.stringify(headers).includes(cookie.name)]).toEqual([
      seen,
      undefined,
      false,
    ]);
  }
  expectSoundLog();
}, 180_000);

/** The cookie itself, however a browser's or a proxy's percent-encoding spells it. */
function isOurs(value: string): boolean {
  try {
    return decodeURIComponent(value.trim()) === decodeURIComponent(cookie.value);
  } catch {
    return false;
  }
}

test('2,000 cookies that are almost ours are no session, and the API hears of none (RT-10, CK-13)', async () => {
  const asked = party.api.requests.length;
  const changed = fc.tuple(fc.nat(), fc.constantFrom(...Array.from('ABYZabyz0189-_.%:"\\/ '))).map(([at, letter]) => {
    const place = at % cookie.value.length;
    return cookie.value.slice(0, place) + letter + cookie.value.slice(place + 1);
  });
  const almost = fc.oneof(
    { weight: 4, arbitrary: changed },
    { weight: 1, arbitrary: fc.nat().map((length) => cookie.value.slice(0, length % cookie.value.length)) },
    { weight: 1, arbitrary: latin1(300).map((value) => value.replaceAll(';', '')) },
    fc.constantFrom(`${cookie.value}${cookie.value}`, 'x'.repeat(8_000), encodeURIComponent(cookie.value), '%E0%A4%A'),
  );
  await fc.assert(
    fc.asyncProperty(
      almost.filter((value) => !isOurs(value)),
      async (value) => {
        const { answers } = await exchange(
          party.postern.address,
          Buffer.from(
            `GET /api/x HTTP/1.1\r\nHost: ${host}\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\nCookie: ${cookie.name}=${value}\r\n\r\n`,
            'latin1',
          ),
        );
        expect(answers).toHaveLength(1);
        // A NUL and its like are no header value at all: Node's parser refuses those.
        expect(answers[0]!.status).toBe(/[^\P{Cc}\t\x80-\x9f]/u.test(value) ? 400 : 401);
      },
    ),
    { numRuns: 2_000 },
  );
  expect(party.api.requests).toHaveLength(asked);
  expectSoundLog();
}, 180_000);

test.each(['/api/%0a%7b%22level%22%3a%22error%22%7d', '/bff/%0d%0afake', '/x%1b[31m', '/"}{"level":"error"}'])(
  'the path %j stays inside one line of the log, and cannot speak to a terminal there (LOGS-03)',
  async (path) => {
    const before = party.postern.log.length;
    const lines = ['User-Agent: a\\n{"level":"error"}', 'X-Request-Id: a"b', 'X-Forwarded-For: \x9b31m'];
    const head = [`GET ${path} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...lines];
    const bytes = Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1');
    const { answers } = await exchange(party.postern.address, bytes);
    expect(answers.map(({ status }) => status)).toEqual([expect.any(Number)]);
    const [line = '', ...more] = party.postern.log.slice(before);
    expect(more).toEqual([]);
    expect(line).toMatch(/^\P{Cc}+\n$/u);
    expect(JSON.parse(line)).toMatchObject({ level: 'info', msg: 'request' });
  },
);
