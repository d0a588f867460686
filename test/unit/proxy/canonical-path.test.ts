import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { canonicalPath } from '../../../src/proxy/canonical-path.ts';
import { leastMs } from '../../support/stopwatch.ts';

const isMalformed = (target: string): boolean => canonicalPath(target).kind === 'malformed';

describe('a target with one reading passes unchanged', () => {
  test.each([
    ['/', '/', ''],
    ['/api/orders/1', '/api/orders/1', ''],
    ['/api/', '/api/', ''],
    ['/api?q=/../x&y=%', '/api', '?q=/../x&y=%'],
    ['/api?', '/api', '?'],
    ['/api/caf%C3%A9', '/api/caf%C3%A9', ''],
    ['/api/a%20b', '/api/a%20b', ''],
    ['/api/C%23', '/api/C%23', ''],
    ['/api/100%25', '/api/100%25', ''],
    ['/api/@EVIL/', '/api/@EVIL/', ''],
    ['/api/items[0]|x^2', '/api/items[0]|x^2', ''],
    ['/api/.well-known/x', '/api/.well-known/x', ''],
    ['/api/a..b/..c/d..', '/api/a..b/..c/d..', ''],
    ['/api/x;v=1', '/api/x;v=1', ''],
  ])('%s', (target, path, query) => {
    expect(canonicalPath(target)).toEqual({ kind: 'canonical', path, query, hasEncodedSlash: false });
  });
});

test('an encoded slash is told, for the route to decide about', () => {
  expect(canonicalPath('/api/a%2Fb')).toEqual({
    kind: 'canonical',
    path: '/api/a%2Fb',
    query: '',
    hasEncodedSlash: true,
  });
  expect(canonicalPath('/api/a%2fb')).toMatchObject({ hasEncodedSlash: true });
  expect(canonicalPath('/api?x=%2F')).toMatchObject({ hasEncodedSlash: false });
});

describe('a target with a second reading is refused (RT-03, RT-05, RT-06, BFF-12, BFF-13)', () => {
  const dotSegments = [
    '.',
    '..',
    '...',
    '..;x',
    '.;',
    '..%3Bx',
    '%2e%2e',
    '%2E.',
    '.%2e',
    '.%00.',
    '%252e%252e',
    '..%20',
    '%20..',
    '.%20.',
  ];
  test.each(dotSegments)('dot segment %s, in the middle and at the end', (segment) => {
    expect(isMalformed(`/api/${segment}/admin`)).toBe(true);
    expect(isMalformed(`/api/${segment}`)).toBe(true);
    expect(isMalformed(`/${segment}/api`)).toBe(true);
  });

  test.each([
    [
      'another form of target',
      ['*', 'evil:443', 'http://evil/api/x', 'api/x', '', '?x', '//evil/api/x', '/api/http://EVIL/'],
    ],
    ['empty segments', ['//', '/api//x', '/api/x//', '///']],
    ['backslashes', ['/api\\x', '/api/\\\\EVIL', '/api/%5cx', '/api/..%5C..%5cx', '/\\evil']],
    ['fragments', ['/api/secret#/public', '/api?x#y']],
    [
      'control characters',
      ['/api/\tx', '/api/%00', '/api/%0d%0aSet-Cookie:x', '/api/%1F', '/api/%7f', '/api/%C2%85', '/api?\x01'],
    ],
    ['broken escapes', ['/api/%', '/api/%4', '/api/%zz', '/api/%u002e']],
    ['no UTF-8', ['/api/%FF', '/api/%C0%AE', '/api/%E0%80%AF', '/api/%ED%A0%80']],
    [
      'raw bytes outside ASCII, spaces, markup',
      ['/api/é', '/api/a b', '/api/<x>', '/api/"', '/api/{x}', '/api?é', '/api? '],
    ],
    ['needless escapes', ['/%61pi/x', '/api/%7Euser', '/api/%41', '/api/%5f', '/api/%2D', '/api/%30']],
    ['double escapes', ['/api/%252e%252e/x', '/api/%252F', '/api/%255c', '/api/%2500', '/api/%25252e', '/api/%253Bx']],
    ['dot segments between encoded slashes', ['/api/x%2F..%2Fadmin', '/api/x%2f..', '/api/..%2fadmin', '/api/.%2Fx']],
  ])('%s', (_, targets) => {
    expect(targets.filter((target) => !isMalformed(target))).toEqual([]);
  });
});

// Pieces that matter to one server or another, put together at random.
const piece = fc.constantFrom(
  '/',
  '.',
  '..',
  '%2e',
  '%2F',
  '%5c',
  '\\',
  ';',
  '%3b',
  '%20',
  '%25',
  '%00',
  'api',
  'A',
  '%41',
  '%C3%A9',
  '%ff',
  '?',
  '#',
  ' ',
  ':',
  '@',
);
const target = fc.oneof(
  fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`),
  fc.webPath().map((path) => path || '/'),
  fc.string({ unit: 'binary' }),
);

test('whatever the target: what passes is the target itself, and has one reading', () => {
  fc.assert(
    fc.property(target, (text) => {
      const result = canonicalPath(text);
      if (result.kind === 'malformed') return;
      const { path, query } = result;
      // The string that was matched is the string that is sent.
      expect(path + query).toBe(text);
      expect(canonicalPath(path)).toMatchObject({ kind: 'canonical', path, query: '' });
      expect(path).toMatch(/^\/(?!\/)/);
      // A browser's and a server's URL parser leave it alone.
      expect(new URL(text, 'http://origin.invalid').pathname.replaceAll('%5E', '^')).toBe(path);
      expect(new URL(text, 'http://origin.invalid').host).toBe('origin.invalid');
      // Neither decoding it once nor twice makes it climb.
      const once = decodeURIComponent(path);
      for (const reading of [once, decodeAgain(once)]) {
        expect(reading.split(/[/\\]/).map((segment) => segment.replace(/;.*/, ''))).not.toContain('..');
        // eslint-disable-next-line no-control-regex -- control characters are what must not be there
        expect(reading).not.toMatch(/[\x00-\x1f\x7f-\x9f\\]/);
      }
    }),
    { numRuns: 5_000 },
  );
});

test('a hostile 8 KB target is decided in less than 50 ms (DL-04)', () => {
  const hostile = ['.', '/.', '%2e', '%20', '/%20.', ';', 'A.', '%25', '/a', '%2F.'].flatMap((unit) => [
    `/${unit.repeat(8192 / unit.length)}`,
    `/${unit.repeat(8192 / unit.length)}é`,
  ]);
  for (const text of hostile) expect(leastMs(() => canonicalPath(text))).toBeLessThan(50);
});

function decodeAgain(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
