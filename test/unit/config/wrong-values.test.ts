import { expect, test } from '@jest/globals';
import { complaintsAbout, rightSave } from '../../support/config-text.ts';

test('publicUrl is an origin, without so much as a slash at its end', () => {
  expect(complaintsAbout(rightSave('publicUrl: https://shop.example.com/'))).toEqual([
    'postern.yaml:1:12 publicUrl: must be an origin: scheme, host and port, nothing after them, such as https://shop.example.com, not "https://shop.example.com/"',
  ]);
});

test('a duration without a unit is refused', () => {
  expect(
    complaintsAbout(
      rightSave(`
session:
  keys: [{ env: SESSION_KEY }]
  idleTimeout: 30
  absoluteTimeout: 12 hours
`),
    ),
  ).toEqual([
    'postern.yaml:3:16 session.idleTimeout: must be a duration such as 30s, 10m, 12h or 7d, more than 0 and at most 400d, not 30',
    'postern.yaml:4:20 session.absoluteTimeout: must be a duration such as 30s, 10m, 12h or 7d, more than 0 and at most 400d, not "12 hours"',
  ]);
});

test('a misspelt choice is refused with the nearest right one', () => {
  expect(
    complaintsAbout(
      rightSave(`
provider:
  issuer: https://id.example.com
  clientId: shop
  clientSecret: { env: CLIENT_SECRET }
  clientAuth: basik
`),
    ),
  ).toEqual(['postern.yaml:5:15 provider.clientAuth: must be basic or post, not "basik"; did you mean "basic"?']);
});

test('scopes are a list, not words in a row', () => {
  expect(
    complaintsAbout(
      rightSave(`
provider:
  issuer: https://id.example.com
  clientId: shop
  clientSecret: { env: CLIENT_SECRET }
  scopes: openid profile
`),
    ),
  ).toEqual([
    'postern.yaml:5:11 provider.scopes: must be a list: [a, b], or a line "- a" for each entry, not "openid profile"',
  ]);
});

test('yes is text in YAML 1.2, and no switch', () => {
  expect(complaintsAbout(rightSave('insecure: { weakKey: yes }'))).toEqual([
    'postern.yaml:1:22 insecure.weakKey: must be true or false, not "yes"',
  ]);
});

test('the address of the metadata is not the issuer', () => {
  expect(
    complaintsAbout(
      rightSave(`
provider:
  issuer: https://id.example.com/realms/shop/.well-known/openid-configuration
  clientId: shop
  clientSecret: { env: CLIENT_SECRET }
`),
    ),
  ).toEqual([
    'postern.yaml:2:11 provider.issuer: is the address of the metadata; the issuer is what "issuer" says in there, most likely "https://id.example.com/realms/shop"',
  ]);
});

test('a path with a wildcard is told that it needs none', () => {
  expect(complaintsAbout(rightSave('routes: [{ path: /api/*, upstream: http://orders:8080 }]'))).toEqual([
    'postern.yaml:1:18 routes[0].path: must be a path such as /api or /api/orders, of letters, digits and - . _ ~, without a slash at its end, not "/api/*"; leave the * out, all that is below a path belongs to it',
  ]);
});

test('the app is a directory or a development server, not both', () => {
  expect(complaintsAbout(rightSave('spa: { directory: /srv/app, upstream: http://localhost:5173 }'))).toEqual([
    'postern.yaml:1:6 spa: must be either directory (built files) or upstream (a development server)',
  ]);
});

test('the pages that login and logout end on are not on another site', () => {
  expect(
    complaintsAbout(
      rightSave(`
login: { errorUrl: https://evil.example }
logout: { returnTo: "/\\\\evil.example" }
`),
    ),
  ).toEqual([
    'postern.yaml:1:20 login.errorUrl: must be a path of this origin such as /signed-out, without . or .. segments, not "https://evil.example"',
    'postern.yaml:2:21 logout.returnTo: must be a path of this origin such as /signed-out, without . or .. segments, not "/\\\\evil.example"',
  ]);
});

test('trusted proxies are addresses or networks', () => {
  expect(complaintsAbout(rightSave('trustedProxies: [10.0.0.0/33, loadbalancer, "::1", 10.0.0.0/8]'))).toEqual([
    'postern.yaml:1:18 trustedProxies[0]: must be an IP address or a network, such as 10.0.0.7 or 10.0.0.0/8, not "10.0.0.0/33"',
    'postern.yaml:1:31 trustedProxies[1]: must be an IP address or a network, such as 10.0.0.7 or 10.0.0.0/8, not "loadbalancer"',
  ]);
});

test('a listener has a host and a port that exists', () => {
  expect(
    complaintsAbout(
      rightSave(`
listen: 8080
operations: { listen: 0.0.0.0:99999 }
`),
    ),
  ).toEqual([
    'postern.yaml:1:9 listen: must be host:port, such as 0.0.0.0:8080 or [::]:8080, not 8080',
    'postern.yaml:2:23 operations.listen: must be host:port with a port of at most 65535, not "0.0.0.0:99999"',
  ]);
});

test('a wrong limit is refused, never taken as no limit (DL-06)', () => {
  expect(
    complaintsAbout(
      rightSave(`
limits: { headers: 10gb }
routes: [{ path: /api, upstream: http://orders:8080, timeout: { connect: 0s, idle: 30d } }]
`),
    ),
  ).toEqual([
    'postern.yaml:1:20 limits.headers: must be a size such as 64kb, from 1kb to 1mb, not "10gb"',
    'postern.yaml:2:74 routes[0].timeout.connect: must be a duration such as 30s, 10m, 12h or 7d, more than 0 and at most 1d, not "0s"',
    'postern.yaml:2:84 routes[0].timeout.idle: must be a duration such as 30s, 10m, 12h or 7d, more than 0 and at most 1d, not "30d"',
  ]);
});

test('a cookie for other sites, or with a prefix of its own, is refused (S-08, SEC-03)', () => {
  expect(complaintsAbout(rightSave('cookie: { sameSite: none, name: __Host-postern }'))).toEqual([
    'postern.yaml:1:21 cookie.sameSite: must be strict or lax, not "none"',
    'postern.yaml:1:33 cookie.name: must stand without the prefix "__Host-": Postern puts the prefix __Host-Http- in front wherever publicUrl is https',
  ]);
});

test('a cookie name cannot smuggle attributes in (S-11)', () => {
  expect(complaintsAbout(rightSave('cookie: { name: "a;b" }'))).toEqual([
    'postern.yaml:1:17 cookie.name: must be a cookie name: letters, digits and - _ . and at most 64 of them, not "a;b"',
  ]);
});

test('a header value of two lines is refused', () => {
  expect(
    complaintsAbout(
      rightSave(`
strictTransportSecurity: |
  max-age=1
  x
`),
    ),
  ).toEqual([
    'postern.yaml:1:26 strictTransportSecurity: must be a header value: printable ASCII on one line (in YAML, >- folds lines without a newline at the end), not "max-age=1\\nx\\n"',
  ]);
});

test('a format of the future is refused', () => {
  expect(complaintsAbout(rightSave('version: 2'))).toEqual(['postern.yaml:1:10 version: must be 1, not 2']);
});

test('a page that login ends on is written as browsers will read it', () => {
  expect(complaintsAbout(rightSave('login: { errorUrl: /app/../bff/session }'))).toEqual([
    'postern.yaml:1:20 login.errorUrl: must be a path of this origin such as /signed-out, without . or .. segments, not "/app/../bff/session"',
  ]);
  expect(complaintsAbout(rightSave('login: { errorUrl: "/?login=failed#/error" }'))).toEqual([]);
});

test('a whole number is asked for where one is needed, with its limits', () => {
  const session = (maxEntries: string): string =>
    rightSave(`session: { keys: [{ env: SESSION_KEY }], nearCache: { maxEntries: ${maxEntries} } }`);
  expect(
    ['0', 'lots', '1.5'].flatMap((streams) => complaintsAbout(rightSave(`limits: { streams: ${streams} }`))),
  ).toEqual([
    'postern.yaml:1:20 limits.streams: must be at least 1, not 0',
    'postern.yaml:1:20 limits.streams: must be a whole number of streams, not "lots"',
    'postern.yaml:1:20 limits.streams: must be a whole number of streams, not 1.5',
  ]);
  expect(['0', 'lots', '2000000'].flatMap((entries) => complaintsAbout(session(entries)))).toEqual([
    'postern.yaml:1:67 session.nearCache.maxEntries: must be at least 1, not 0',
    'postern.yaml:1:67 session.nearCache.maxEntries: must be a whole number of sessions, not "lots"',
    'postern.yaml:1:67 session.nearCache.maxEntries: must be at most 1000000, not 2000000',
  ]);
});
