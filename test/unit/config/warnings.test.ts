import { expect, test } from '@jest/globals';
import { complaintsAbout, rightSave, sessionKey } from '../../support/config-text.ts';

test('a good configuration is passed over in silence', () => {
  expect(complaintsAbout(rightSave(''))).toEqual([]);
});

test('secrets in the file itself are warned of, and not repeated (SEC-01)', () => {
  expect(
    complaintsAbout(
      rightSave(`
provider: { issuer: https://id.example.com, clientId: shop, clientSecret: s3cret }
session: { keys: ["${sessionKey}"] }
redis: { url: "redis://user:s3cret@redis" }
`),
    ),
  ).toEqual([
    'postern.yaml:1:75 warning: provider.clientSecret: the secret stands in this file; { file: /path } or { env: NAME } keeps it out of copies and commits',
    'postern.yaml:2:19 warning: session.keys[0]: the secret stands in this file; { file: /path } or { env: NAME } keeps it out of copies and commits',
    'postern.yaml:3:15 warning: redis.url: the secret stands in this file; { file: /path } or { env: NAME } keeps it out of copies and commits',
  ]);
});

test('a Redis URL without a password may stand in the file', () => {
  expect(complaintsAbout(rightSave('redis: { url: "redis://redis:6379/0" }'))).toEqual([]);
});

test('a token that travels unencrypted is called by its name', () => {
  expect(
    complaintsAbout(
      rightSave(`
routes:
  - { path: /a, upstream: http://orders.example.com:8080 }
  - { path: /b, upstream: http://10.0.0.7 }
  - { path: /c, upstream: http://orders.example.com:8080, auth: none }
  - { path: /d, upstream: http://orders.example.com:8080, token: none }
  - { path: /e, upstream: https://orders.example.com }
  - { path: /f, upstream: http://orders }
  - { path: /g, upstream: http://orders.shop.svc:8080 }
  - { path: /h, upstream: http://orders.shop.svc.cluster.local:8080 }
  - { path: /i, upstream: http://127.0.0.1:8080 }
`),
    ),
  ).toEqual([
    'postern.yaml:2:27 warning: routes[0].upstream: the token travels unencrypted to orders.example.com:8080; use https',
    'postern.yaml:3:27 warning: routes[1].upstream: the token travels unencrypted to 10.0.0.7; use https',
  ]);
});

test('a strict route under a loose one on the same upstream is explained', () => {
  expect(
    complaintsAbout(
      rightSave(`
routes:
  - { path: /api, upstream: http://orders:8080, auth: none }
  - { path: /api/admin, upstream: http://orders:8080 }
  - { path: /api/other, upstream: http://other:8080 }
  - { path: /apixyz, upstream: http://orders:8080 }
  - { path: /api/open, upstream: http://orders:8080, auth: none }
`),
    ),
  ).toEqual([
    'postern.yaml:3:13 warning: routes[1].path: "/api/admin" (auth: required) lies under "/api" (auth: none) on the same upstream: where that upstream reads paths more loosely than Postern (case, ;parameters, doubled slashes), a request let through as "/api" can reach "/api/admin"; let the upstream check the token there, or give the two parts different upstreams',
  ]);
});

test('sessions that end with the process are mentioned', () => {
  expect(complaintsAbout(rightSave('').replace(/^redis.*\n/m, ''))).toEqual([
    'postern.yaml:1:1 warning: redis: missing, so sessions live in this process: one replica only, and a restart ends them',
  ]);
});

test('trust in everybody is mentioned', () => {
  expect(complaintsAbout(rightSave('trustedProxies: [0.0.0.0/0, 10.0.0.0/8]'))).toEqual([
    'postern.yaml:1:18 warning: trustedProxies[0]: 0.0.0.0/0 is everybody: any client may claim any address',
  ]);
});

test('the operators’ token in the file itself is warned of like any secret (SEC-01)', () => {
  const token = 'a token of at least thirty-two characters';
  expect(complaintsAbout(rightSave(`operations: { admin: { token: "${token}" } }`))).toEqual([
    'postern.yaml:1:31 warning: operations.admin.token: the secret stands in this file; { file: /path } or { env: NAME } keeps it out of copies and commits',
  ]);
});
