import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { loadConfig } from '../../../src/config/load.ts';
import type { LoadOutcome } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/schema.ts';
import { Secret } from '../../../src/config/secret.ts';
import { complaintsAbout, load, rightSave, sessionKey } from '../../support/config-text.ts';

function configOf(outcome: LoadOutcome): Config {
  if (outcome.kind === 'invalid') throw new Error(outcome.problems.map(({ message }) => message).join('\n'));
  return outcome.config;
}

test('the smallest file gets every default', () => {
  const config = configOf(load(rightSave('')));
  expect(config.basePath).toBe('/bff');
  expect(config.listen).toEqual({ host: '0.0.0.0', port: 8080 });
  expect(config.operations.listen).toEqual({ host: '127.0.0.1', port: 9090 });
  expect(config.provider.scopes).toEqual(['openid']);
  expect(config.session).toMatchObject({
    idleTimeout: 1800,
    absoluteTimeout: 43_200,
    refreshBefore: 60,
    maxPerUser: 1_000,
  });
  expect(config.routes).toMatchObject([{ auth: 'required', timeout: { connect: 5, headers: 60, idle: 300 } }]);
  expect(config.limits.headers).toBe(32_768);
  expect(config.insecure).toEqual({ httpIssuer: false, httpPublicUrl: false, publicClient: false, weakKey: false });
});

test('nothing can change a configuration once it is loaded', () => {
  const thawed: string[] = [];
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null || value instanceof Secret) return;
    if (!Object.isFrozen(value)) thawed.push(path);
    for (const [key, child] of Object.entries(value)) visit(child, `${path}.${key}`);
  };
  visit(configOf(load(rightSave('spa: { upstream: http://localhost:5173 }'))), 'config');
  expect(thawed).toEqual([]);
});

test('secrets come from files and the environment, without the newline that editors add', () => {
  const text = rightSave(`
session: { keys: [{ file: keys/new }, { file: /run/secrets/old }] }
`);
  const old = Buffer.alloc(32, 'another key').toString('base64');
  const files = { '/etc/postern/keys/new': `${sessionKey}\n`, '/run/secrets/old': `${old}\r\n` };
  const { session, provider } = configOf(load(text, { files }));
  expect(session.keys.map((key) => key.reveal())).toEqual([sessionKey, old]);
  expect(session.keys.map((key) => key.origin)).toEqual(['file /etc/postern/keys/new', 'file /run/secrets/old']);
  expect(provider.clientSecret?.origin).toBe('env CLIENT_SECRET');
});

test('only one newline is taken off a secret: the rest may belong to it', () => {
  const { provider } = configOf(load(rightSave(''), { env: { CLIENT_SECRET: ' a secret \n' } }));
  expect(provider.clientSecret?.reveal()).toBe(' a secret \n');
  const text = rightSave(
    'provider: { issuer: https://id.example.com, clientId: shop, clientSecret: { file: client } }',
  );
  const fromFile = configOf(load(text, { files: { '/etc/postern/client': ' a secret \n\n' } }));
  expect(fromFile.provider.clientSecret?.reveal()).toBe(' a secret \n');
});

test('relative paths start at the configuration file', () => {
  const text = rightSave('spa: { directory: ../app }');
  const { spa } = configOf(load(text, { files: { '/etc/app/index.html': '<!doctype html>' } }));
  expect(spa).toEqual({ directory: '/etc/app' });
});

test('anchors and aliases say a thing once', () => {
  const text = rightSave(`
routes:
  - { path: /api, upstream: &orders "http://orders:8080" }
  - { path: /api/health, upstream: *orders, auth: none }
`);
  expect(configOf(load(text)).routes.map(({ upstream }) => upstream)).toEqual([
    'http://orders:8080',
    'http://orders:8080',
  ]);
});

test('a byte order mark and Windows line ends do no harm', () => {
  expect(load(`\uFEFF${rightSave('').replaceAll('\n', '\r\n')}`).kind).toBe('ok');
});

test('a configuration that is not there, or that is none, is said to be so', () => {
  const readFile = (): string => {
    throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
  };
  expect(loadConfig({ path: 'postern.yml', readFile, env: {}, now: Date.now })).toEqual({
    kind: 'invalid',
    problems: [
      {
        where: 'postern.yml',
        path: [],
        message: 'the configuration cannot be read: there is no such file (--config FILE names another)',
      },
    ],
  });
  expect(complaintsAbout('#'.repeat(1_000_001))).toEqual([
    'postern.yaml:1:1: the file is larger than 1 MB: this is no configuration',
  ]);
});

test('one wrong key does not hide what is wrong with the values beside it', () => {
  expect(
    complaintsAbout(
      rightSave(`
publicUrl: http://shop.example.com
provider:
  issuer: https://id.example.com
  clientID: shop
  clientSecret: { env: CLIENT_SECRET }
  scopes: [profile]
session: { keys: [{ env: SESSION_KEY }], idleTimeout: 2d, refreshBefor: 1m }
routes:
  - { path: /bff/x, upstreams: http://orders:8080 }
`),
    ).map((line) => line.split(': ')[0]),
  ).toEqual([
    'postern.yaml:1:12 publicUrl',
    'postern.yaml:2:1 provider.clientId',
    'postern.yaml:4:3 provider.clientID',
    'postern.yaml:6:11 provider.scopes',
    'postern.yaml:7:55 session.idleTimeout',
    'postern.yaml:7:59 session.refreshBefor',
    'postern.yaml:9:5 routes[0].upstream',
    'postern.yaml:9:13 routes[0].path',
    'postern.yaml:9:21 routes[0].upstreams',
  ]);
});

test('a wrong value is told once, and no rule guesses what it should have been', () => {
  expect(
    complaintsAbout(rightSave('session: { keys: [{ env: SESSION_KEY }], idleTimeout: 2d, absoluteTimeout: a week }')),
  ).toHaveLength(1);
});

test('no bytes make the loader throw', () => {
  const fragments = fc.constantFrom(
    'publicUrl:',
    'provider',
    ': ',
    '\n',
    '  ',
    '- ',
    '{',
    '}',
    '[',
    ']',
    '&a ',
    '*a',
    '!t ',
    '"',
    "'",
    '|\n',
    '#',
    '---\n',
    '%',
    '\t',
    '@',
    'null',
    '1',
  );
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fragments, { maxLength: 40 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(texts, (text) => {
      expect(load(text).kind).toBe('invalid');
    }),
    { numRuns: 300 },
  );
});

test('no value of any key makes the loader throw', () => {
  const keys = fc.constantFrom(
    'publicUrl',
    'provider',
    'session',
    'redis',
    'routes',
    'spa',
    'cookie',
    'login',
    'insecure',
    'listen',
    'trustedProxies',
    'strictTransportSecurity',
  );
  fc.assert(
    fc.property(keys, fc.jsonValue(), (key, value) => {
      expect(['ok', 'invalid']).toContain(load(rightSave(`${key}: ${JSON.stringify(value)}`)).kind);
    }),
    { numRuns: 300 },
  );
});

test('values nested without end are refused', () => {
  const said = complaintsAbout(`${'['.repeat(20_000)}${']'.repeat(20_000)}`);
  expect(said.length).toBeGreaterThan(0);
  expect(said.filter((line) => !line.endsWith(': the values are nested too deeply: this is no configuration'))).toEqual(
    [],
  );
  expect(load('['.repeat(100_000)).kind).toBe('invalid');
  expect(load(`${'{a: '.repeat(20_000)}1${'}'.repeat(20_000)}`).kind).toBe('invalid');
});
