// Paths that lead elsewhere than they seem to: the upstream must never hear of one (weaknesses of routing, raw sockets).
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { exchange } from '../support/raw-client.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
/** Must never see a request: nothing is configured to go there. */
let evil: RecordingUpstream;
let gate: Gate;
let cookie: string;

beforeAll(async () => {
  [upstream, evil] = await Promise.all([RecordingUpstream.start(), RecordingUpstream.start()]);
  gate = await startGate({
    routes: [
      { path: '/api', upstream: upstream.url },
      { path: '/api/open', upstream: upstream.url, auth: 'none' },
      { path: '/public', upstream: upstream.url, auth: 'none' },
      { path: '/raw', upstream: upstream.url, auth: 'none', encodedSlash: 'pass' },
    ],
  });
  cookie = await gate.signIn();
});

afterAll(async () => {
  await gate.stop();
  await Promise.all([upstream.stop(), evil.stop()]);
});

beforeEach(() => {
  upstream.requests.length = 0;
});

/** The statuses of a request with this target, signed in or not. */
async function statusOf(
  target: string,
  { signedIn = true, host = gate.host, method = 'GET', lines = [] as string[] } = {},
): Promise<number> {
  const head = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    'Sec-Fetch-Site: same-origin',
    'Connection: close',
    ...lines,
  ];
  if (signedIn) head.push(`Cookie: ${cookie}`);
  const { answers } = await exchange(gate.address, Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'));
  expect(answers).toHaveLength(1);
  return answers[0]!.status;
}

describe('a path that climbs out of its route is refused, whoever asks (BFF-13, RT-05)', () => {
  const climbs = [
    '..',
    '%2e%2e',
    '%2E.',
    '.%2e',
    '.%00.',
    '%252e%252e',
    '..;',
    '..;x=1',
    '..%3b',
    '..%20',
    '..%5c',
    '..\\',
    '.',
    '%2e',
    '...',
  ];
  test.each(climbs)('%s', async (segment) => {
    for (const target of [
      `/public/${segment}/api/admin`,
      `/api/open/${segment}/admin`,
      `/api/open/x/${segment}`,
      `/${segment}/api`,
    ]) {
      expect([target, await statusOf(target)]).toEqual([target, 400]);
    }
    expect(upstream.requests).toEqual([]);
  });

  test('so is one that climbs behind encoded slashes, even where those pass', async () => {
    for (const target of [
      '/raw/..%2fapi',
      '/raw/x%2F..%2F..%2Fapi',
      '/raw/%2e%2e%2fapi',
      '/public/..%2fapi',
      '/public/a%2Fb',
    ]) {
      expect([target, await statusOf(target)]).toEqual([target, 400]);
    }
    expect(upstream.requests).toEqual([]);
    expect(await statusOf('/raw/a%2Fb')).toBe(200);
    expect(upstream.last.target).toBe('/raw/a%2Fb');
  });
});

describe('a path that another server would read as another route is refused (RT-05, RT-06)', () => {
  test.each([
    '/API/x',
    '/Public/x',
    '/api/OPEN',
    '/api/open;x',
    '/api/open.',
    '/api/open%20',
    '/api/open%3Bx',
    '/api;/open',
    '/%61pi/x',
    '/ap\xed',
    '/api/open%2f',
    // Spaces that a router trims at either end of a name (CVE-2016-5007).
    '/api/%20open',
    '/%20api/x',
    '/api/%C2%A0open/x',
    // A dotless i and a dotted I, which are an i to who compares without regard to case (String.equalsIgnoreCase, re.IGNORECASE).
    '/publ%C4%B1c/x',
    '/publ%C4%B0c/x',
  ])('%s', async (target) => {
    expect(await statusOf(target)).toBe(400);
    expect(upstream.requests).toEqual([]);
  });

  test('what only begins like a route is none', async () => {
    for (const target of ['/apixyz', '/api-internal/x', '/publicity', '/ap', '/'])
      expect([target, await statusOf(target)]).toEqual([target, 404]);
    expect(upstream.requests).toEqual([]);
  });
});

describe('the target names no host (BFF-12, RT-06, RT-13, PX-17)', () => {
  test('absolute-form, authority-form and asterisk-form are refused', async () => {
    for (const target of [
      `${evil.url}/api/x`,
      `http://${gate.host}/api/x`,
      '*',
      evil.authority,
      `//${evil.authority}/api/x`,
      `/api/${evil.url}/`,
    ]) {
      expect([target, await statusOf(target)]).toEqual([target, 400]);
    }
    expect(await statusOf(evil.authority, { method: 'CONNECT' })).toBe(405);
    expect(await statusOf('*', { method: 'OPTIONS' })).toBe(400);
    expect([upstream.requests, evil.requests]).toEqual([[], []]);
  });

  test('names that only look like another host go where the route goes', async () => {
    for (const target of [`/api/@${evil.authority}/`, `/api/x@${evil.authority}`, `/api?url=${evil.url}`]) {
      expect([target, await statusOf(target)]).toEqual([target, 200]);
      expect(upstream.last.target).toBe(target);
    }
    expect(evil.requests).toEqual([]);
  });

  test('headers cannot choose the upstream or the path', async () => {
    const lines = [
      `X-Forwarded-Host: ${evil.authority}`,
      'X-Original-URL: /api/admin',
      'X-Rewrite-URL: /api/admin',
      'X-HTTP-Host-Override: evil',
    ];
    expect(await statusOf('/public/x', { lines })).toBe(200);
    expect(upstream.last.target).toBe('/public/x');
    expect(upstream.last.headers).not.toHaveProperty('x-original-url');
    expect(upstream.last.headers).not.toHaveProperty('x-rewrite-url');
    expect(evil.requests).toEqual([]);
  });

  test('a Host that is not ours is answered 421, and two of them as well (RT-07, PRX-10)', async () => {
    for (const host of [evil.authority, `evil${gate.host}`, `${gate.host}.evil`, `${gate.host}@x`, 'localhost', '']) {
      expect([host, await statusOf('/public', { host })]).toEqual([host, 421]);
    }
    expect(await statusOf('/public', { lines: ['Host: evil'] })).toBe(421);
    expect(await statusOf('/public', { host: gate.host.toUpperCase() })).toBe(200);
  });
});

describe('what is decided upon is the path alone', () => {
  test('a public path in the query or the fragment opens nothing (RT-01, RT-03)', async () => {
    expect(await statusOf('/api/private?x=/public', { signedIn: false })).toBe(401);
    expect(await statusOf('/api/private?/../../public', { signedIn: false })).toBe(401);
    expect(await statusOf('/api/secret%23/public', { signedIn: false })).toBe(401);
    expect(await statusOf('/api/secret%3F/public', { signedIn: false })).toBe(401);
    expect(await statusOf('/api/secret#/public', { signedIn: false })).toBe(400);
    expect(upstream.requests).toEqual([]);
  });

  test('every target that passes reaches the upstream byte for byte', async () => {
    for (const target of [
      '/api/a%20b',
      '/api/%C3%A9',
      '/api/%c3%a9',
      '/api/x;v=1',
      '/api/a+b',
      '/api/?',
      '/api?a=b%2F..%2F&c=[1]|',
      "/api/'()*!$,:@~",
    ]) {
      expect([target, await statusOf(target)]).toEqual([target, 200]);
      expect(upstream.last.target).toBe(target);
    }
  });
});

test('operators’ paths are not on the public listener (RT-16, SEC-02)', async () => {
  for (const target of [
    '/metrics',
    '/metrics/',
    '/livez',
    '/readyz',
    '/debug',
    '/debug/pprof',
    '/admin',
    '/admin/sessions',
    '/ready',
  ]) {
    expect([target, await statusOf(target)]).toEqual([target, 404]);
  }
});
