import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createUpstreamHeaders, viaNameOf } from '../../../src/proxy/upstream-headers.ts';
import type { OwnStatements } from '../../../src/proxy/upstream-headers.ts';

const own: OwnStatements = {
  clientAddress: '203.0.113.7',
  forwardedFor: '203.0.113.7',
  requestId: 'request-1',
  bearer: 'ours',
  claims: undefined,
};
const viaName = viaNameOf('https://shop.example.com');
const ownCookie = '__Host-Http-postern';

const build = createUpstreamHeaders({
  publicUrl: 'https://shop.example.com',
  authority: 'orders:8080',
  passesCookie: (name) => name === 'theme',
  claimNames: [],
});

function built(headers: IncomingHttpHeaders, statements: Partial<OwnStatements> = {}, httpVersion = '1.1') {
  return build({ headers, httpVersion }, { ...own, ...statements });
}

test('an ordinary request: end-to-end fields pass, ours are added', () => {
  expect(
    built({ host: 'shop.example.com', accept: 'application/json', 'accept-encoding': 'gzip', range: 'bytes=0-1' }),
  ).toEqual({
    host: 'orders:8080',
    accept: 'application/json',
    'accept-encoding': 'gzip',
    range: 'bytes=0-1',
    authorization: 'Bearer ours',
    'x-forwarded-for': '203.0.113.7',
    'x-forwarded-host': 'shop.example.com',
    'x-forwarded-proto': 'https',
    'x-forwarded-port': '443',
    forwarded: 'for=203.0.113.7;host="shop.example.com";proto=https',
    via: `1.1 ${viaName}`,
    'x-request-id': 'request-1',
  });
});

test('a call without a token carries no Authorization, whatever the client sent (BFF-15, HD-06)', () => {
  expect(
    built({ authorization: 'Bearer evil', 'proxy-authorization': 'Basic x', dpop: 'x' }, { bearer: undefined }),
  ).not.toMatchObject({ authorization: expect.anything() });
});

test('hop-by-hop fields and those that Connection names stay here (PRX-01)', () => {
  const headers = built({
    connection: 'close, X-Foo',
    'x-foo': '1',
    'keep-alive': 'timeout=5',
    te: 'trailers',
    trailer: 'x',
    upgrade: 'h2c',
    'http2-settings': 'x',
    'proxy-connection': 'keep-alive',
    expect: '100-continue',
  });
  for (const name of [
    'connection',
    'x-foo',
    'keep-alive',
    'te',
    'trailer',
    'upgrade',
    'http2-settings',
    'proxy-connection',
    'expect',
  ]) {
    expect(headers).not.toHaveProperty(name);
  }
});

test('Connection cannot take away what we add (PRX-03, HD-03)', () => {
  const headers = built({
    connection: 'authorization, x-forwarded-for, forwarded, via, host, cookie, x-request-id',
    cookie: 'theme=dark',
  });
  expect(headers).toMatchObject({
    authorization: 'Bearer ours',
    'x-forwarded-for': '203.0.113.7',
    host: 'orders:8080',
    via: `1.1 ${viaName}`,
    cookie: 'theme=dark',
    'x-request-id': 'request-1',
  });
});

test('Connection cannot take away the framing of the body', () => {
  expect(built({ connection: 'content-length', 'content-length': '5' })).toMatchObject({ 'content-length': '5' });
  expect(built({ connection: 'transfer-encoding', 'transfer-encoding': 'chunked' })).toMatchObject({
    'transfer-encoding': 'chunked',
  });
});

test('a chunked body stays chunked and carries no length', () => {
  const headers = built({ 'transfer-encoding': 'Chunked', 'content-length': '5' });
  expect(headers['transfer-encoding']).toBe('chunked');
  expect(headers).not.toHaveProperty('content-length');
});

describe('nobody but us says who the client is and what was asked for (HD-01, HD-02, PRX-05, PRX-06)', () => {
  test.each([
    ...[
      'x-forwarded-prefix',
      'x-forwarded-uri',
      'x-forwarded-server',
      'x-forwarded-ssl',
      'x-forwarded-scheme',
      'x-forwarded-user',
    ],
    ...[
      'x-forwarded-email',
      'x-forwarded-groups',
      'x-forwarded-access-token',
      'x-real-ip',
      'true-client-ip',
      'client-ip',
      'x-client-ip',
    ],
    ...[
      'x_forwarded_user',
      'x_forwarded_for',
      'x.forwarded.user',
      'x_user',
      'x~user',
      'x-original-url',
      'x-rewrite-url',
    ],
    ...['x-original-method', 'x-original-uri', 'client-cert'],
    // A CGI script takes it for the proxy that it is to use itself (CVE-2016-5385).
    'proxy',
    ...['x-http-method', 'x-http-method-override', 'x-method-override'],
  ])('%s is dropped', (name) => {
    expect(built({ [name]: 'evil' })).not.toHaveProperty([name]);
  });

  test.each([
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-forwarded-port',
    'forwarded',
    'x-request-id',
    'authorization',
  ])('%s is ours', (name) => {
    expect(built({ [name]: 'evil' })[name]).not.toContain('evil');
  });
});

test('an IPv6 client is bracketed and quoted in Forwarded (RFC 7239 section 6)', () => {
  expect(built({}, { clientAddress: '2001:db8::7', forwardedFor: '2001:db8::7' })).toMatchObject({
    forwarded: 'for="[2001:db8::7]";host="shop.example.com";proto=https',
    'x-forwarded-for': '2001:db8::7',
  });
});

test.each(['', 'unknown', '_hidden', '203.0.113.7:51234', 'a"b;host=evil', '2001:db8::zz'])(
  'what a proxy gave for an address and is none is `unknown` in Forwarded (RFC 7239 6.2): %j',
  (clientAddress) => {
    expect(built({}, { clientAddress })).toMatchObject({
      forwarded: 'for=unknown;host="shop.example.com";proto=https',
    });
  },
);

test('Via names the protocol of the request and comes after those that were there (PRX-07)', () => {
  expect(built({ via: '1.1 edge' }, {}, '1.0').via).toBe(`1.1 edge, 1.0 ${viaName}`);
});

describe('cookies pass by name, ours never (PRX-04, HD-05)', () => {
  test.each([
    ['theme=dark; other=1', 'theme=dark'],
    [`${ownCookie}=s%3Ax; theme=dark`, 'theme=dark'],
    [`theme=a;${ownCookie}=x;theme=b`, 'theme=a; theme=b'],
    [`theme="a; ${ownCookie}=x"`, 'theme="a'],
    [` theme =x`, 'theme =x'],
    ['Theme=dark; themes=x; theme', undefined],
    // An upstream would find its own `__Host-` cookie in it, which no browser has guarded.
    ['\u00a0theme=x; \u000btheme=x; theme\u00a0=x', undefined],
  ])('%j → %j', (cookie, expected) => {
    expect(built({ cookie }).cookie).toBe(expected);
  });

  test('without an allow-list no cookie passes', () => {
    const none = createUpstreamHeaders({
      publicUrl: 'https://shop.example.com',
      authority: 'a',
      passesCookie: false,
      claimNames: [],
    });
    expect(none({ headers: { cookie: 'theme=dark' }, httpVersion: '1.1' }, own)).not.toHaveProperty('cookie');
  });
});

describe('trace context passes when it is well formed', () => {
  const good = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  test('a well-formed traceparent passes with its tracestate', () => {
    expect(built({ traceparent: good, tracestate: 'a=1' })).toMatchObject({ traceparent: good, tracestate: 'a=1' });
  });
  test.each([
    'x',
    good.replace(/^00/, 'ff'),
    good.toUpperCase(),
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `${good}, ${good}`,
  ])('%s is dropped, and its state with it', (traceparent) => {
    const headers = built({ traceparent, tracestate: 'a=1' });
    expect(headers).not.toHaveProperty('traceparent');
    expect(headers).not.toHaveProperty('tracestate');
  });
});

test('whatever the headers: one Authorization and it is ours, no cookie of ours, no hop-by-hop field, no forged statement', () => {
  const names = fc.oneof(
    fc.constantFrom(
      'authorization',
      'cookie',
      'connection',
      'x-forwarded-for',
      'forwarded',
      'te',
      'expect',
      'x_forwarded_user',
      'host',
      'via',
      'x-foo',
    ),
    fc.string({ unit: fc.constantFrom('a', 'b', 'x', 'z', '-', '_', '.', '0'), minLength: 1, maxLength: 12 }),
  );
  const values = fc.oneof(
    fc.constantFrom(
      'evil',
      `theme=1; ${ownCookie}=evil`,
      'close, authorization',
      'x-forwarded-for, content-length',
      'x-foo',
    ),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.dictionary(names, values), (headers) => {
      const result = built(headers);
      expect(result.authorization).toBe('Bearer ours');
      expect(result.host).toBe('orders:8080');
      expect(result['x-forwarded-for']).toBe('203.0.113.7');
      expect(result.cookie ?? '').not.toContain(`${ownCookie}=`);
      for (const name of Object.keys(result)) {
        expect(name).toMatch(/^[a-z0-9-]+$/);
        expect(['connection', 'te', 'expect', 'keep-alive', 'upgrade', 'trailer']).not.toContain(name);
        if (name.startsWith('x-forwarded-'))
          expect(['for', 'host', 'proto', 'port']).toContain(name.slice('x-forwarded-'.length));
      }
    }),
    { numRuns: 3_000 },
  );
});
