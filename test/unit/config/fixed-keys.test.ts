// What a reload refuses, against the schema and against the page that says so.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { changedFixedKeys, fixedKeys, plainText } from '../../../src/config/fixed-keys.ts';
import { createConfigSchema } from '../../../src/config/schema.ts';
import type { Config } from '../../../src/config/schema.ts';
import { Secret } from '../../../src/config/secret.ts';
import { filesOf } from '../../../src/config/watched-config.ts';

const base = {
  publicUrl: 'https://shop.example.com',
  provider: { issuer: 'https://id.example.com', clientId: 'shop', clientSecret: { file: '/run/client-secret' } },
  session: { keys: [{ file: '/run/key' }] },
};
const parse = (overrides: object = {}, secret = 'secret'): Config =>
  createConfigSchema((source) => new Secret('value' in source ? source.value : secret, source)).parse({
    ...base,
    ...overrides,
  });

test.each<[string, object, string[]]>([
  ['nothing', {}, []],
  ['routes and limits of calls', { routes: [{ path: '/api', upstream: 'http://api' }], limits: { logins: 5 } }, []],
  ['addresses', { listen: '0.0.0.0:1', operations: { listen: '127.0.0.1:2' } }, ['listen', 'operations.listen']],
  ['a name in the middle', { provider: { ...base.provider, clientId: 'other' } }, ['provider.clientId']],
  [
    'one key of a section',
    { cookie: { name: 'other' }, limits: { headers: '64kb', streams: 5 } },
    ['cookie.name', 'limits.headers'],
  ],
  [
    'lifetimes and places for streams',
    { session: { ...base.session, idleTimeout: '5m' }, limits: { websockets: 5 } },
    [],
  ],
  ['a section that was not there', { redis: { url: 'redis://redis:6379' } }, ['redis']],
  ['the admin token at all', { operations: { admin: { token: { env: 'TOKEN' } } } }, ['operations.admin']],
])('a change of %s', (_what, overrides, expected) => {
  expect(changedFixedKeys(parse(), parse(overrides))).toEqual(expected);
});

test('secrets are compared by their value', () => {
  const withRedis = (secret: string): Config => parse({ redis: { url: { env: 'REDIS' } } }, secret);
  expect(changedFixedKeys(withRedis('redis://one'), withRedis('redis://two'))).toEqual(['redis.url']);
  expect(changedFixedKeys(withRedis('redis://a:b@one'), withRedis('redis://c:b@one'))).toEqual(['redis.url']);
  expect(changedFixedKeys(parse({}, 'one'), parse({}, 'two'))).toEqual([]);
  expect(plainText(new Secret('one'))).not.toBe(plainText(new Secret('two')));
});

test.each<[string, object, [string, string]]>([
  ['of the server', { url: 'redis://host', password: { file: '/run/redis' } }, ['one', 'two']],
  ['in its URL', { url: { file: '/run/redis' } }, ['redis://a:one@host', 'redis://a:two@host']],
  [
    'of the sentinels',
    { sentinel: { name: 'shop', nodes: ['one:26379'], password: { file: '/run/redis' } } },
    ['one', 'two'],
  ],
])('a rotated password of Redis, %s, needs no restart', (_what, redis, [before, after]) => {
  const withPassword = (secret: string): Config => parse({ redis }, secret);
  expect(changedFixedKeys(withPassword(before), withPassword(after))).toEqual([]);
});

test('the files that are watched are those of secrets and of the provider’s authority; session keys are followed by themselves', () => {
  const provider = { ...base.provider, tls: { ca: { file: '/etc/ca.pem' } } };
  expect(filesOf(parse({ provider }))).toEqual(['/run/client-secret', '/etc/ca.pem']);
});

test('the page on reloading names every key that needs a restart, and every other section of the file', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/operations.md'), 'utf8');
  const rowOf = (start: string): string[] => {
    const row = page.split('\n').find((line) => line.startsWith(`| ${start}`)) ?? '';
    return Array.from(row.split('|')[2]!.matchAll(/`([\w.]+)`/g), ([, key]) => key!);
  };
  const restart = rowOf('a restart');
  expect(restart.filter((key) => key !== 'operations.admin').sort()).toEqual([...fixedKeys].sort());
  const named = [...restart, ...rowOf('a reload')].map((key) => key.split('.')[0]);
  const sections = Object.keys(createConfigSchema(() => new Secret('')).shape);
  expect(sections.filter((section) => !named.includes(section))).toEqual(['version']);
});
