import { expect, test } from '@jest/globals';
import { complaintsAbout, rightSave } from '../../support/config-text.ts';

test('an empty file is told which sections it needs', () => {
  expect(complaintsAbout('')).toEqual([
    'postern.yaml:1:1 publicUrl: missing; it must be an origin: scheme, host and port, nothing after them, such as https://shop.example.com',
    'postern.yaml:1:1 provider: missing; it must be a section with issuer and clientId',
    'postern.yaml:1:1 session: missing; it must be a section with keys',
  ]);
});

test('a misspelt key is refused with the nearest right one (RT-18)', () => {
  expect(
    complaintsAbout(
      rightSave(`
provider:
  issuer: https://id.example.com
  clientId: shop
  clientSecret: { env: CLIENT_SECRET }
  scops: [openid]
`),
    ),
  ).toEqual(['postern.yaml:5:3 provider.scops: unknown key; did you mean "scopes"?']);
});

test('a key in another spelling is recognised (RT-18)', () => {
  expect(
    complaintsAbout(
      rightSave(`
provider:
  issuer: https://id.example.com
  client_id: shop
  clientSecret: { env: CLIENT_SECRET }
`),
    ),
  ).toEqual([
    'postern.yaml:1:1 provider.clientId: missing; it must be text',
    'postern.yaml:3:3 provider.client_id: unknown key; did you mean "clientId"?',
  ]);
});

test('a key on the wrong level is sent to its section', () => {
  expect(
    complaintsAbout(
      rightSave(`
provider:
  issuer: https://id.example.com
  clientId: shop
  clientSecret: { env: CLIENT_SECRET }
scopes: [openid]
`),
    ),
  ).toEqual(['postern.yaml:5:1 scopes: unknown key here; it belongs under provider']);
});

test('a cookie has no domain to set (CK-05)', () => {
  expect(complaintsAbout(rightSave('cookie: { domain: example.com }'))).toEqual([
    'postern.yaml:1:11 cookie.domain: unknown key; allowed here: name, sameSite, persistent',
  ]);
});

test('a section without content is told what it needs', () => {
  expect(complaintsAbout(rightSave('provider:'))).toEqual([
    'postern.yaml:1:1 provider: must be a section with issuer and clientId, not empty',
  ]);
});

test('a misspelt key in one of two alternatives is found', () => {
  expect(complaintsAbout(rightSave('spa: { directroy: /srv/app }'))).toEqual([
    'postern.yaml:1:8 spa.directroy: unknown key; did you mean "directory"?',
  ]);
});

test('keys with a meaning in JavaScript are unknown keys like any other', () => {
  expect(
    complaintsAbout(
      rightSave(`
__proto__: { a: 1 }
constructor: 1
`),
    ),
  ).toEqual([
    'postern.yaml:1:1 __proto__: unknown key; allowed here: version, publicUrl, basePath, listen, tls, workers, operations, shutdown, forwardAuth, trustedProxies, provider, session, redis, routes, spa, cookie, csrf, login, logout, limits, log, strictTransportSecurity, insecure',
    'postern.yaml:2:1 constructor: unknown key; allowed here: version, publicUrl, basePath, listen, tls, workers, operations, shutdown, forwardAuth, trustedProxies, provider, session, redis, routes, spa, cookie, csrf, login, logout, limits, log, strictTransportSecurity, insecure',
  ]);
});
