import { expect, test } from '@jest/globals';
import { nearest } from '../../../src/config/did-you-mean.ts';

const keys = ['scopes', 'clientId', 'clientSecret', 'upstream', 'idleTimeout', 'auth', 'file', 'env'];

test.each([
  ['scops', 'scopes'],
  ['client_id', 'clientId'],
  ['CLIENT-SECRET', 'clientSecret'],
  ['upsteram', 'upstream'],
  ['idletimeout', 'idleTimeout'],
  ['ahth', 'auth'],
  ['fiel', 'file'],
])('%s was meant to be %s', (given, meant) => {
  expect(nearest(given, keys)).toBe(meant);
});

test.each(['cors', 'vault', 'x', '', 'a'.repeat(10_000)])('nothing is guessed for %s', (given) => {
  expect(nearest(given, keys)).toBeUndefined();
});
