import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { safeReturnTo } from '../../../src/login/return-to.ts';

const origin = 'https://shop.example.com';
const isReserved = (path: string) => /^\/(bff|api)(\/|$)/.test(path);
const returnTo = (value: unknown) => safeReturnTo(value, origin, isReserved);

/** What a browser would open, whatever stands between it and us. */
const opened = (emitted: string) => new URL(emitted, `${origin}/bff/callback`);

test.each([
  ['/', '/'],
  ['/cart', '/cart'],
  ['/cart?step=2&x=%20y#total', '/cart?step=2&x=%20y#total'],
  ['/search?next=https://other.example/a//b', '/search?next=https://other.example/a//b'],
  ['/a/../b/./c', '/b/c'],
  ['/käse', '/k%C3%A4se'],
  ['/file%20name', '/file%20name'],
  ['/bffs', '/bffs'],
])('a login may end on a path of the app: %s', (value, emitted) => {
  expect(returnTo(value)).toBe(emitted);
});

const backslashes = ['/\\H', '\\/H', '\\\\H', '/%5cH', '/%5CH', '/%5c%5cH', '/a\\..\\H', '/\\/H', '//\\H'];
test.each(backslashes)('a backslash is no way to another host: %s (RD-01)', (payload) => {
  expect(returnTo(payload.replace('H', 'evil.example'))).toBe('/');
});

const between = [
  '%09',
  '%0a',
  '%0d',
  '%0b',
  '%0c',
  '%00',
  '%20',
  ' ',
  '\t',
  '\n',
  '\r',
  '\v',
  '\0',
  '%c2%a0',
  '%ef%bb%bf',
  '%e2%80%a8',
  '%7f',
  '%c2%85',
];
test.each(between.map((blank) => `/${blank}/evil.example`))(
  'white space between slashes is no way to another host: %j (RD-02)',
  (payload) => {
    expect(returnTo(payload)).toBe('/');
  },
);

test.each(['\t', '\n', '\r', '\0', '\u0001', '\u001f', '\u00a0', '\ufeff', '\u2028', '\u200b', ' '])(
  'a control or invisible character that browsers strip is refused wherever it stands: %j (RD-06)',
  (character) => {
    for (const payload of [
      `${character}//evil.example`,
      `/${character}/evil.example`,
      `/a${character}b`,
      `/${character}`,
    ]) {
      expect(returnTo(payload)).toBe('/');
    }
  },
);

test.each([
  'https://evil.example',
  '//evil.example',
  '///evil.example',
  'https:evil.example',
  'http://shop.example.com@evil.example',
  'https://shop.example.com.evil.example',
  'https://shop.example.com/cart',
  'javascript:alert(1)',
  'data:text/html,x',
  'vbscript:x',
  '/..//evil.example',
  '/a/..//evil.example',
  '/.//evil.example',
  '/%2e%2e//evil.example',
  '/%2f/evil.example',
  '/%2fevil.example',
  '//%2fevil.example',
  '/\uff0fevil.example',
  '/\uff3cevil.example',
  '/%ef%bc%8fevil.example',
  '/%0d%0aLocation:%20https://evil.example',
  'cart',
  '?a=b',
  '#x',
  '',
])('only a path counts as a path: %j (RED-01, RD-07)', (payload) => {
  expect(returnTo(payload)).toBe('/');
});

test.each([
  ['%'],
  ['/%'],
  ['/%zz'],
  ['http://['],
  ['//'],
  ['/%c3%28'],
  [`/${'a'.repeat(65_536)}`],
  [`/${'ä'.repeat(500)}`],
])('what cannot be parsed or is too long ends on the start page, and nothing is thrown (RD-12)', (payload) => {
  expect(returnTo(payload)).toBe('/');
});

test.each([undefined, null, 7, {}, ['/cart'], ['/a', '/b']])(
  'what is not one text ends on the start page: %j (RD-12)',
  (value) => {
    expect(returnTo(value)).toBe('/');
  },
);

test.each(['/bff/login', '/bff', '/api/orders', '/%62ff/login', '/x/../bff/login', '/api?x#y'])(
  'a login does not end on an endpoint or an API: %s (RD-13)',
  (value) => {
    expect(returnTo(value)).toBe('/');
  },
);

test('no combination of the usual tricks leaves our origin (RD-03, RD-04)', () => {
  const starts = [
    '/',
    '//',
    '/\\',
    '\\',
    '/./',
    '/../',
    '/%2e/',
    '/a/',
    '',
    '/;/',
    '/%2f',
    '/%5c',
    'https:',
    'https:/',
    '/:/',
    '/@',
  ];
  const middles = [
    '',
    '/',
    '//',
    '\\',
    '/./',
    '/..',
    '%09',
    '\t',
    '%00',
    '%2f',
    '@',
    '.',
    ';',
    '#',
    '?',
    ':',
    '／',
    '。',
  ];
  const ends = [
    'evil.example',
    'evil.example/%2f..',
    'good@evil.example',
    'evil.example#shop.example.com',
    'localhost:80',
    '[::1]',
    '1.1.1.1',
  ];
  let payloads = 0;
  for (const start of starts) {
    for (const middle of middles) {
      for (const end of ends) {
        payloads += 1;
        const emitted = returnTo(start + middle + end);
        expect(opened(emitted).origin).toBe(origin);
        // Also where something on the way decodes it once more.
        expect(opened(decodeURIComponent(emitted)).origin).toBe(origin);
      }
    }
  }
  expect(payloads).toBeGreaterThan(1500);
});

test('whatever comes in, what goes out is a normalised path of ours that can stand in a header (RD-07)', () => {
  const tricky = fc.array(
    fc.oneof(
      fc.constantFrom(
        '/',
        '\\',
        '..',
        '.',
        '%2f',
        '%5c',
        '%09',
        '\t',
        '\r\n',
        '@',
        ':',
        '?',
        '#',
        'https:',
        'evil.example',
        '／',
      ),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
  );
  fc.assert(
    fc.property(
      tricky.map((parts) => `/${parts.join('')}`),
      (value) => {
        const emitted = returnTo(value);
        expect(opened(emitted).origin).toBe(origin);
        expect(emitted).toMatch(/^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/);
        expect(emitted.length).toBeLessThanOrEqual(1024);
        expect(isReserved(opened(emitted).pathname)).toBe(false);
        expect(returnTo(emitted)).toBe(emitted);
      },
    ),
    { numRuns: 2000 },
  );
});
