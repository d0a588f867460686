import { expect, test } from '@jest/globals';
import { complaintsAbout, rightSave, sessionKey } from '../../support/config-text.ts';

test('a secret that is not in the environment is named, and so is an empty one (SEC-01)', () => {
  expect(complaintsAbout(rightSave(''), { env: { CLIENT_SECRET: undefined, SESSION_KEY: '' } })).toEqual([
    'postern.yaml:5:17 provider.clientSecret: the environment variable CLIENT_SECRET is not set',
    'postern.yaml:6:19 session.keys[0]: the environment variable SESSION_KEY is empty',
  ]);
});

test('a variable whose name is nearly right is named (SEC-01)', () => {
  expect(complaintsAbout(rightSave('session: { keys: [{ env: SESION_KEY }] }'))).toEqual([
    'postern.yaml:1:19 session.keys[0]: the environment variable SESION_KEY is not set; did you mean "SESSION_KEY"?',
  ]);
});

test('who expects variables to be replaced in the file is told that they are not', () => {
  expect(
    complaintsAbout(
      rightSave(`
publicUrl: \${PUBLIC_URL}
provider:
  issuer: https://id.example.com
  clientId: \${CLIENT_ID}
  clientSecret: \${CLIENT_SECRET}
`),
    ),
  ).toEqual([
    'postern.yaml:1:12 publicUrl: must be an origin: scheme, host and port, nothing after them, such as https://shop.example.com, not "${PUBLIC_URL}"; variables are not replaced in this file',
    'postern.yaml:4:13 provider.clientId: must be the text itself, not "${CLIENT_ID}"; variables are not replaced in this file',
    'postern.yaml:5:17 provider.clientSecret: variables are not replaced in this file; write { env: CLIENT_SECRET }',
  ]);
});

test('a URL where it does not belong is shown without its password (SEC-01)', () => {
  expect(
    complaintsAbout(
      rightSave(`
listen: redis://postern:pass/w@rd@redis:6379
redis: { "redis://postern:pass/w@rd@redis:6379" }
`),
    ),
  ).toEqual([
    'postern.yaml:1:9 listen: must be host:port, such as 0.0.0.0:8080 or [::]:8080, not "redis://[redacted]@redis:6379"',
    'postern.yaml:2:8 redis: must say where Redis is: url, sentinel or cluster',
    'postern.yaml:2:10 redis["redis://[redacted]@redis:6379"]: unknown key; allowed here: url, sentinel, cluster, username, password, database, tls',
  ]);
});

test('a secret in the place of a section or a list is not repeated (SEC-01)', () => {
  expect(
    complaintsAbout(
      rightSave(`
session: { keys: ${sessionKey} }
redis: redis://postern:pass/word@redis:6379
operations: { admin: s3cret }
`),
    ),
  ).toEqual([
    'postern.yaml:1:18 session.keys: must be a list: [a, b], or a line "- a" for each entry, not text',
    'postern.yaml:2:8 redis: must be a section with url, sentinel, cluster, username, password, database or tls, not text',
    'postern.yaml:3:22 operations.admin: must be a section with token, not text',
  ]);
});

test('a secret whose file is missing or empty is named (SEC-01)', () => {
  expect(
    complaintsAbout(
      rightSave(`
session: { keys: [{ file: secrets/key }] }
redis: { url: { file: /run/secrets/redis } }
`),
      { files: { '/run/secrets/redis': '\n' } },
    ),
  ).toEqual([
    'postern.yaml:1:19 session.keys[0]: the file /etc/postern/secrets/key cannot be read: there is no such file',
    'postern.yaml:2:15 redis.url: the file /run/secrets/redis is empty',
  ]);
});

test('a misspelt form of a secret gets a hint', () => {
  expect(
    complaintsAbout(
      rightSave(`
redis: { url: { environment: REDIS_URL } }
provider:
  issuer: https://id.example.com
  clientId: shop
  clientSecret: { fiel: /run/secrets/client }
`),
    ),
  ).toEqual([
    'postern.yaml:1:15 redis.url: must be { file: /path } or { env: NAME }, or less well the secret itself as text',
    'postern.yaml:5:17 provider.clientSecret: must be { file: /path } or { env: NAME }, or less well the secret itself as text; did you mean "file"?',
  ]);
});
