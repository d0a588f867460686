import { expect, test } from '@jest/globals';
import { complaintsAbout, rightSave } from '../../support/config-text.ts';

test('session keys are base64, long, not guessable, and different (SEC-03)', () => {
  expect(
    complaintsAbout(
      rightSave(`
session:
  keys:
    - { env: SHORT }
    - { env: ZERO }
    - { env: SESSION_KEY }
    - { env: SAME }
    - { env: WORDS }
`),
      {
        env: {
          SHORT: 'c2hvcnQ=',
          ZERO: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
          SAME: '5vDJ0cWZ3K7G2rY8p1xQ4mT6uN9bV0aLhEoXwSfRi3k=',
          WORDS: 'correct horse battery staple',
        },
      },
    ),
  ).toEqual([
    'postern.yaml:3:7 session.keys[0]: holds 5 bytes, and at least 32 are needed; make one with: openssl rand -base64 32',
    'postern.yaml:4:7 session.keys[1]: repeats one byte, so anybody can guess it; make one with: openssl rand -base64 32',
    'postern.yaml:6:7 session.keys[3]: is the same key as session.keys[2]; take one of the two out',
    'postern.yaml:7:7 session.keys[4]: must be base64; make one with: openssl rand -base64 32',
  ]);
});

test('an idle timeout longer than the absolute one is refused', () => {
  expect(
    complaintsAbout(rightSave('session: { keys: [{ env: SESSION_KEY }], idleTimeout: 1d, absoluteTimeout: 12h }')),
  ).toEqual([
    'postern.yaml:1:55 session.idleTimeout: 1d is longer than session.absoluteTimeout (12h), so it would never count; make it shorter',
  ]);
});

test('plain http off loopback is refused for publicUrl and issuer (OA-25, SEC-03)', () => {
  expect(
    complaintsAbout(
      rightSave(`
publicUrl: http://shop.example.com
provider:
  issuer: http://id.example.com
  clientId: shop
  clientSecret: { env: CLIENT_SECRET }
`),
    ),
  ).toEqual([
    'postern.yaml:1:12 publicUrl: "http://shop.example.com" would send cookies and authorization codes unencrypted; http is for loopback only (localhost, *.localhost, 127.0.0.0/8, [::1]): use https, or set insecure.httpPublicUrl',
    'postern.yaml:3:11 provider.issuer: "http://id.example.com" would send the client secret and tokens unencrypted; http is for loopback only: use https, or set insecure.httpIssuer',
  ]);
});

test('scopes without openid are refused', () => {
  expect(
    complaintsAbout(
      rightSave(`
provider:
  issuer: https://id.example.com
  clientId: shop
  clientSecret: { env: CLIENT_SECRET }
  scopes: [profile]
`),
    ),
  ).toEqual(['postern.yaml:5:11 provider.scopes: must hold openid: without it there is no ID token, so no user']);
});

test('a client without a secret is refused (BFF-01)', () => {
  expect(complaintsAbout(rightSave('provider: { issuer: https://id.example.com, clientId: shop }'))).toEqual([
    'postern.yaml:1:1 provider.clientSecret: missing; it must be { file: /path } or { env: NAME } (a client without a secret needs insecure.publicClient)',
  ]);
});

test('a public client with a secret is a contradiction', () => {
  expect(complaintsAbout(rightSave('insecure: { publicClient: true }'))).toEqual([
    'postern.yaml:6:17 provider.clientSecret: contradicts insecure.publicClient: a public client has no secret; take one of the two out',
  ]);
});

test('no parameter can ask for another flow, and one wrong value does not hide another (BFF-02)', () => {
  expect(
    complaintsAbout(
      rightSave(`
provider:
  issuer: https://id.example.com
  clientId: shop
  clientSecret: { env: CLIENT_SECRET }
  authorizationParameters: { response_type: token, scope: email, max_age: "60", audience: 5 }
`),
    ),
  ).toEqual([
    'postern.yaml:5:45 provider.authorizationParameters.response_type: Postern sets this itself; take it out',
    'postern.yaml:5:59 provider.authorizationParameters.scope: Postern sets this itself; list scopes in provider.scopes',
    'postern.yaml:5:75 provider.authorizationParameters.max_age: Postern sets this itself; set login.maxAge',
    'postern.yaml:5:91 provider.authorizationParameters.audience: must be text (numbers, true and false need quotes here), not 5',
  ]);
});

test('the pages that login and logout end on belong to the app', () => {
  expect(
    complaintsAbout(
      rightSave(`
login: { errorUrl: /api/failed }
logout: { returnTo: /bff/session }
`),
    ),
  ).toEqual([
    'postern.yaml:1:20 login.errorUrl: "/api/failed" is under the path of routes[0]; it must be a page of the app',
    'postern.yaml:2:21 logout.returnTo: "/bff/session" is under basePath "/bff"; it must be a page of the app',
  ]);
});

test('metrics do not share the public listener (SEC-02)', () => {
  expect(
    complaintsAbout(
      rightSave(`
listen: 0.0.0.0:8080
operations: { listen: 127.0.0.1:8080 }
`),
    ),
  ).toEqual([
    'postern.yaml:2:23 operations.listen: port 8080 is the public listener’s too (listen); metrics and health need one of their own',
  ]);
});

test('the listener that hands out tokens to gateways is neither the public one nor that for operators', () => {
  expect(complaintsAbout(rightSave('listen: 0.0.0.0:8080\nforwardAuth: { listen: 127.0.0.1:8080 }\n'))).toEqual([
    'postern.yaml:2:24 forwardAuth.listen: port 8080 is the public listener’s too (listen); its answers carry tokens, so no browser may reach it',
  ]);
  const file = 'operations: { listen: 127.0.0.1:9090 }\nforwardAuth: { listen: 0.0.0.0:9090 }\n';
  expect(complaintsAbout(rightSave(file))).toEqual([
    'postern.yaml:2:24 forwardAuth.listen: port 9090 is the operations listener’s too; its answers carry tokens, so it needs one of its own',
  ]);
});

test('an admin token that could be guessed is refused and not repeated', () => {
  expect(
    complaintsAbout(rightSave('operations: { admin: { token: { env: ADMIN_TOKEN } } }'), {
      env: { ADMIN_TOKEN: 'letmein-letmein-letmein-letmein' },
    }),
  ).toEqual([
    'postern.yaml:1:31 operations.admin.token: has 31 characters, and at least 32 are needed; make one with: openssl rand -base64 32',
  ]);
});

test('a limit of no session at all is refused', () => {
  expect(complaintsAbout(rightSave('session: { keys: [{ env: SESSION_KEY }], maxPerUser: 0 }'))).toEqual([
    'postern.yaml:1:54 session.maxPerUser: must be at least 1, not 0',
  ]);
});

test('ports that the system chooses never meet', () => {
  expect(complaintsAbout(rightSave('listen: 127.0.0.1:0\noperations: { listen: 127.0.0.1:0 }'))).toEqual([]);
});

test('a wrong Redis URL is refused and not repeated, because it may hold a password (SEC-01)', () => {
  expect(
    complaintsAbout(rightSave('redis: { url: { env: REDIS_URL } }'), { env: { REDIS_URL: 'http://:s3cret@redis' } }),
  ).toEqual([
    'postern.yaml:1:15 redis.url: must be a URL such as redis://host:6379/0 or rediss://user:password@host:6379/0',
  ]);
});

test('an environment that switches certificate checks or request parsing off is refused (SEC-03)', () => {
  expect(
    complaintsAbout(rightSave(''), {
      env: { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_OPTIONS: '--insecure-http-parser' },
    }),
  ).toEqual([
    'environment NODE_TLS_REJECT_UNAUTHORIZED: is 0, so that no certificate would be checked, the provider’s included; unset it, and name a private authority in provider.tls.ca',
    'environment NODE_OPTIONS: holds --insecure-http-parser, which lets requests be smuggled past Postern; take it out',
  ]);
});

test.each(['--inspect', '--max-old-space-size=512 --inspect-brk=0.0.0.0:9229'])(
  'an environment that opens a debugger is refused: %s (TK-17)',
  (options) => {
    expect(complaintsAbout(rightSave(''), { env: { NODE_OPTIONS: options } })).toEqual([
      'environment NODE_OPTIONS: holds --inspect, which opens a debugger, and with it the memory that holds the tokens, to everybody on this machine; take it out',
    ]);
  },
);

test('what editors set so that they hear of a debugger that is opened later opens none', () => {
  const env = { NODE_OPTIONS: '--require /editor/bootloader.js --inspect-publish-uid=http' };
  expect(complaintsAbout(rightSave(''), { env })).toEqual([]);
});

test('a file without a certificate is no authority', () => {
  expect(
    complaintsAbout(
      rightSave(`
provider:
  issuer: https://id.example.com
  clientId: shop
  clientSecret: { env: CLIENT_SECRET }
  tls: { ca: { file: ca.pem } }
`),
      { files: { '/etc/postern/ca.pem': 'hello' } },
    ),
  ).toEqual([
    'postern.yaml:5:22 provider.tls.ca.file: /etc/postern/ca.pem holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)',
  ]);
});
