import { describe, expect, test } from '@jest/globals';
import { createResponseHeaders } from '../../../src/proxy/response-headers.ts';
import type { ResponseHeadersOptions } from '../../../src/proxy/response-headers.ts';

const csp = "script-src 'none'";
const usual: ResponseHeadersOptions = {
  securityHeaders: { 'content-security-policy': csp, 'x-content-type-options': 'nosniff' },
  passesCookie: (name) => name === 'lang',
  cache: 'private',
  variesByCookie: true,
};

/** The values of each field, by lower-case name. */
function answer(fields: [string, string][], options: Partial<ResponseHeadersOptions> = {}): Record<string, string[]> {
  const flat = createResponseHeaders({ ...usual, ...options })(fields.flat());
  const byName: Record<string, string[]> = {};
  for (let at = 0; at < flat.length; at += 2) (byName[flat[at]!.toLowerCase()] ??= []).push(flat[at + 1]!);
  return byName;
}

test('content, validators and redirects pass as they come', () => {
  const fields: [string, string][] = [
    ['Content-Type', 'application/json'],
    ['ETag', '"x"'],
    ['Location', 'https://elsewhere.example/'],
    ['Content-Encoding', 'gzip'],
    ['Content-Length', '5'],
    ['Link', '<a>'],
    ['Link', '<b>'],
  ];
  expect(answer(fields)).toMatchObject({
    'content-type': ['application/json'],
    etag: ['"x"'],
    location: ['https://elsewhere.example/'],
    'content-encoding': ['gzip'],
    'content-length': ['5'],
    link: ['<a>', '<b>'],
  });
});

describe('an upstream has no power over our origin (HD-07, CSRF-07, PRX-14, SEC-05)', () => {
  test.each([
    ...[
      'Access-Control-Allow-Origin',
      'access-control-allow-credentials',
      'Access-Control-Expose-Headers',
      'Timing-Allow-Origin',
    ],
    ...[
      'Server',
      'X-Powered-By',
      'Clear-Site-Data',
      'Refresh',
      'Service-Worker-Allowed',
      'Secure-Session-Registration',
      'Secure-Session-Challenge',
      'Postern-Session',
      'Public-Key-Pins',
    ],
    ...['Strict-Transport-Security', 'Alt-Svc', 'WWW-Authenticate', 'Proxy-Authenticate'],
    ...['NEL', 'Report-To', 'Reporting-Endpoints', 'X-Accel-Redirect', 'X-Accel-Expires', 'X-Sendfile'],
    ...['Connection', 'Keep-Alive', 'Transfer-Encoding', 'TE', 'Trailer', 'Upgrade'],
  ])('%s is dropped', (name) => {
    expect(answer([[name, 'evil']])).not.toHaveProperty([name.toLowerCase()]);
  });

  test('our security headers stand alone, in place of its own', () => {
    expect(
      answer([
        ['Content-Security-Policy', 'default-src *'],
        ['X-Content-Type-Options', 'x'],
      ]),
    ).toMatchObject({
      'content-security-policy': [csp],
      'x-content-type-options': ['nosniff'],
    });
  });

  test('fields that Connection names are dropped, but not the length of the body (PRX-01)', () => {
    const fields = answer([
      ['Connection', 'X-Foo, content-length'],
      ['X-Foo', '1'],
      ['Content-Length', '5'],
      ['X-Bar', '1'],
    ]);
    expect(fields).not.toHaveProperty('x-foo');
    expect(fields).toMatchObject({ 'content-length': ['5'], 'x-bar': ['1'] });
  });
});

describe('an upstream sets only the cookies it may, and on our host alone (PRX-04, HD-07)', () => {
  test.each([
    ['lang=de; Path=/', ['lang=de; Path=/']],
    ['lang=de; Domain=example.com; Path=/', ['lang=de; Path=/']],
    ['lang=de;DOMAIN = .example.com', ['lang=de']],
    ['lang=de; domain', ['lang=de']],
    ['__Host-Http-postern=evil; Path=/', undefined],
    ['other=1', undefined],
    ['=lang=1', undefined],
    ['lang', undefined],
    ['Lang=de', undefined],
  ])('%s → %j', (setCookie, expected) => {
    expect(answer([['Set-Cookie', setCookie]])['set-cookie']).toEqual(expected);
  });

  test('several cookies stay several fields (CK-11)', () => {
    expect(
      answer([
        ['Set-Cookie', 'lang=de'],
        ['Set-Cookie', 'lang=en'],
      ])['set-cookie'],
    ).toEqual(['lang=de', 'lang=en']);
  });
});

describe('no shared cache keeps what belongs to one user (HDR-02, HDR-03, S-03)', () => {
  test.each([
    [undefined, 'no-store'],
    ['', 'no-store'],
    ['public, max-age=60', 'private, max-age=60'],
    ['max-age=60', 'private, max-age=60'],
    ['max-age=5, s-maxage=60', 'private, max-age=5'],
    ['PUBLIC', 'private'],
    ['private, max-age=60', 'private, max-age=60'],
    ['private="set-cookie, x", max-age=60', 'private, max-age=60'],
    ['no-cache="a, public", max-age=1', 'private, no-cache="a, public", max-age=1'],
    ['no-cache', 'private, no-cache'],
    ['no-store', 'no-store'],
    ['public, no-store', 'no-store'],
  ])('Cache-Control %s → %s', (given, expected) => {
    const fields: [string, string][] = given === undefined ? [] : [['Cache-Control', given]];
    expect(answer(fields)['cache-control']).toEqual([expected]);
  });

  test('two Cache-Control fields are read as one', () => {
    expect(
      answer([
        ['Cache-Control', 'max-age=60'],
        ['cache-control', 'public'],
      ])['cache-control'],
    ).toEqual(['private, max-age=60']);
  });

  test('orders to shared caches that outrank Cache-Control are dropped (RFC 9213)', () => {
    const fields = answer([
      ['CDN-Cache-Control', 'public'],
      ['Cloudflare-CDN-Cache-Control', 'max-age=1'],
      ['Surrogate-Control', 'max-age=1'],
    ]);
    expect(Object.keys(fields).filter((name) => /cdn|surrogate/.test(name))).toEqual([]);
  });

  test.each([
    [undefined, 'Cookie'],
    ['Accept-Encoding', 'Accept-Encoding, Cookie'],
    ['accept, cookie', 'accept, cookie'],
    ['*', '*'],
    ['X-Cookie', 'X-Cookie, Cookie'],
  ])('Vary %s → %s', (given, expected) => {
    expect(answer(given === undefined ? [] : [['Vary', given]]).vary).toEqual([expected]);
  });

  test('an answer without a session may be cached as its upstream says', () => {
    const fields = answer([['Cache-Control', 'public, max-age=60']], { variesByCookie: false });
    expect(fields['cache-control']).toEqual(['public, max-age=60']);
    expect(fields).not.toHaveProperty('vary');
  });

  test('an answer that sets a cookie is never one to cache', () => {
    const fields = answer(
      [
        ['Cache-Control', 'public, max-age=60'],
        ['Set-Cookie', 'lang=de'],
      ],
      { variesByCookie: false },
    );
    expect(fields).toMatchObject({ 'cache-control': ['no-store'], vary: ['Cookie'] });
  });

  test('cache: upstream leaves it all as it comes, save that it still varies', () => {
    const fields = answer(
      [
        ['Cache-Control', 'public'],
        ['CDN-Cache-Control', 'public'],
      ],
      { cache: 'upstream' },
    );
    expect(fields).toMatchObject({ 'cache-control': ['public'], 'cdn-cache-control': ['public'], vary: ['Cookie'] });
  });
});
