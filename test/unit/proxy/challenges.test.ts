import { expect, test } from '@jest/globals';
import { bearerError, challengesOf } from '../../../src/proxy/challenges.ts';
import { leastMs } from '../../support/stopwatch.ts';

const read = (field: string | undefined) =>
  challengesOf(field).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

test('challenges are read as RFC 9110 writes them, several in a field included', () => {
  expect(read(undefined)).toEqual([]);
  expect(read('')).toEqual([]);
  expect(read('Bearer')).toEqual([['bearer', {}]]);
  expect(read('Bearer realm="shop", error="invalid_token"')).toEqual([
    ['bearer', { realm: 'shop', error: 'invalid_token' }],
  ]);
  expect(read('Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\", please"')).toEqual([
    ['basic', { realm: 'simple' }],
    ['newauth', { realm: 'apps', type: '1', title: 'Login to "apps", please' }],
  ]);
  expect(read('Negotiate YWJj==, Bearer error=invalid_token')).toEqual([
    ['negotiate', {}],
    ['bearer', { error: 'invalid_token' }],
  ]);
  expect(read('BEARER Error = "invalid_token" ,, Scope="a b"')).toEqual([
    ['bearer', { error: 'invalid_token', scope: 'a b' }],
  ]);
});

test('what is malformed says nothing, and nothing else is misread for it', () => {
  expect(read('error="invalid_token"')).toEqual([]);
  expect(read('Bearer realm="x, error="invalid_token"')).toEqual([['bearer', {}]]);
  expect(read('Bearer realm="never closed, Bearer error=invalid_token')).toEqual([['bearer', {}]]);
  expect(read('Bearer error="invalid_token", error="insufficient_scope"')).toEqual([
    ['bearer', { error: 'invalid_token' }],
  ]);
  expect(read('"quoted", \0, =, Bearer __proto__="x"')).toEqual([['bearer', { ['__proto__']: 'x' }]]);
});

test('an error counts for Bearer alone', () => {
  const field = 'Basic error="invalid_token", Bearer realm="a", Bearer error="invalid_token", acr_values="gold"';
  expect(bearerError(challengesOf(field), 'invalid_token')?.get('acr_values')).toBe('gold');
  expect(bearerError(challengesOf('Basic error="invalid_token"'), 'invalid_token')).toBeUndefined();
});

test('hostile fields of 16 KB are read in no time (DL-04)', () => {
  const size = 16 * 1024;
  const fields = [
    '"\\'.repeat(size / 2),
    `"${'\\"'.repeat(size / 2)}\\`,
    '"'.repeat(size - 1),
    'a ='.repeat(size / 3),
    `Bearer ${' '.repeat(size)}`,
    `a${' '.repeat(size)}"`,
    ','.repeat(size),
    'a,'.repeat(size / 2),
  ];
  expect(leastMs(() => fields.forEach((field) => challengesOf(field)))).toBeLessThan(1_000);
});
