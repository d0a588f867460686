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

test('a token goes to a socket of this machine without a word', () => {
  expect(complaintsAbout(rightSave('routes: [{ path: /api, upstream: unix:/run/orders.sock }]'))).toEqual([]);
});

test.each([
  [
    'rewritten',
    '{ path: /open, upstream: http://orders:8080, rewrite: /api, auth: none }',
    'auth: required',
    'auth: none',
  ],
  [
    'stripped',
    '{ path: /open, upstream: http://orders:8080/, stripPath: true, auth: none }',
    'auth: required',
    'auth: none',
  ],
])('a way around a strict route is explained: %s', (_how, detour, strict, loose) => {
  expect(
    complaintsAbout(rightSave(`routes: [{ path: /api, upstream: http://orders:8080 }, ${detour}]`)).map((line) =>
      line.replace(/^\S+ /, ''),
    ),
  ).toEqual([
    `warning: routes[0].path: "/api" (${strict}) can be reached through "/open" (${loose}), which sends the same paths to the same upstream; let both ask for the same, or let rewrite keep them apart`,
  ]);
});

test('a way around a claim that is asked for is explained, also within a socket', () => {
  const guarded = '{ path: /admin, upstream: unix:/run/a.sock, rewrite: /api/admin, require: { roles: [admin] } }';
  const open = '{ path: /api, upstream: unix:/run/a.sock }';
  expect(complaintsAbout(rightSave(`routes: [${guarded}, ${open}]`))).toEqual([
    expect.stringContaining(
      '"/admin" (auth: required, require: roles) can be reached through "/api" (auth: required), which sends',
    ),
  ]);
});

test.each([
  ['under it', '{ path: /api/admin, upstream: http://orders:8080, require: { roles: [admin] } }'],
  ['elsewhere on it', '{ path: /open, upstream: http://orders:8080, rewrite: /public, auth: none }'],
  ['a part of it, on purpose', '{ path: /api/health, upstream: http://orders:8080, auth: none }'],
  ['on another upstream', '{ path: /open, upstream: http://other:8080, rewrite: /api, auth: none }'],
])('routes that keep apart are passed over in silence: %s', (_how, other) => {
  expect(complaintsAbout(rightSave(`routes: [{ path: /api, upstream: http://orders:8080 }, ${other}]`))).toEqual([]);
});

test('two sockets are two upstreams', () => {
  const [one, other] = ['upstream: unix:/run/one.sock', 'upstream: unix:/run/other.sock, rewrite: /api, auth: none'];
  expect(complaintsAbout(rightSave(`routes: [{ path: /api, ${one} }, { path: /open, ${other} }]`))).toEqual([]);
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
