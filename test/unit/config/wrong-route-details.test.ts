// What else a route may say, and what of it contradicts itself.
import { expect, test } from '@jest/globals';
import { makeCertificate } from '../../support/certificate.ts';
import { complaintsAbout, load, rightSave } from '../../support/config-text.ts';
import type { World } from '../../support/config-text.ts';

/** What is said of a route on https with these settings, without the place. */
function saidOf(settings: string, world: World = {}): string[] {
  return complaintsAbout(rightSave(`routes: [{ path: /api, upstream: https://orders, ${settings} }]`), world).map(
    (line) => line.replace(/^\S+ (routes\[0\]\.)?/, ''),
  );
}

test.each([
  'require: { roles: [admin, 2, true], realm_access.roles: [x], "https://example.com/roles": [x] }',
  'stepUp: { acrValues: [gold, "urn:example:phrh"] }',
  'stepUp: { maxAge: true }',
  'rewrite: /v2',
  'rewrite: /',
  'stripPath: true',
  'limits: { body: 10mb }',
  'contentSecurityPolicy: upstream',
  'contentSecurityPolicy: "default-src \'self\'"',
  'headers: { request: { set: { X-Tenant: shop }, remove: [X-Debug], allow: [Accept] } }',
  'headers: { response: { set: { X-Frame-Options: DENY, Cache-Control: no-cache }, remove: [Server], allow: [ETag] } }',
  'headers: { claims: { X-User-Id: sub, X-Forwarded-User: sub, X-Roles: realm_access.roles } }',
  'auth: optional, headers: { claims: { X-User-Id: sub } }',
  'tls: { serverName: orders.internal }',
])('a route can say %s', (settings) => {
  expect(saidOf(settings)).toEqual([]);
});

test.each([
  [
    'auth: optional, require: { roles: [admin] }',
    'require: asks for claims, and auth: optional lets people in who have none; set auth to required',
  ],
  [
    'auth: none, headers: { claims: { X-User-Id: sub } }',
    'headers.claims: auth: none knows no user, so there is no claim to send; take claims out',
  ],
  ['stepUp: {}', 'stepUp: nothing may be asked for; name acrValues, or set maxAge: true'],
  [
    'auth: none, stepUp: { maxAge: true }',
    'stepUp: an upstream that gets no token cannot ask for another login; take stepUp out',
  ],
  [
    'token: none, stepUp: { maxAge: true }',
    'stepUp: an upstream that gets no token cannot ask for another login; take stepUp out',
  ],
  [
    'stepUp: { acrValues: ["a b"] }',
    'stepUp.acrValues[0]: must be an acr value: one word of at most 128 printable ASCII characters, without spaces, not "a b"',
  ],
  ['require: { roles: [] }', 'require.roles: must be a list with at least one entry, not an empty list'],
  ['require: { roles: admin }', 'require.roles: must be a list: [a, b], or a line "- a" for each entry, not "admin"'],
  ['require: [admin]', 'require: must be a section, not a list'],
  [
    'stripPath: true, rewrite: /v2',
    'rewrite: stands beside stripPath: both say what becomes of the route’s own path; take stripPath out',
  ],
  ['rewrite: /v2/../admin', 'rewrite: must be a path without . or .. segments, not "/v2/../admin"'],
  ['limits: { body: 10 }', 'limits.body: must be a size such as 64kb, from 1b to 1024gb, not 10'],
  [
    'contentSecurityPolicy: "a\\nb"',
    'contentSecurityPolicy: must be a header value: printable ASCII on one line (in YAML, >- folds lines without a newline at the end), not "a\\nb"',
  ],
])('%s is refused', (settings, complaint) => {
  expect(saidOf(settings)).toEqual([complaint]);
});

test('no route sets, removes or lets through what is not its own to say (PRX-01, PRX-02, HD-06)', () => {
  const lines = complaintsAbout(
    rightSave(`
routes:
  - path: /api
    upstream: http://orders:8080
    headers:
      request:
        set: { Authorization: x, Connection: x, X_User: x, Sec-WebSocket-Key: x, constructor: x }
        remove: [X-Forwarded-For, Cookie, Content-Encoding]
        allow: [Host, X-Real-IP, X-Forwarded-User]
      claims: { Via: sub, Proxy-User: sub }
`),
  );
  expect(lines).toEqual([
    'postern.yaml:6:31 routes[0].headers.request.set.Authorization: "Authorization" carries the token; the route’s token says which, and token: none sends none',
    'postern.yaml:6:46 routes[0].headers.request.set.Connection: "Connection" belongs to one connection and to the framing of the body, which Postern looks after',
    'postern.yaml:6:57 routes[0].headers.request.set.X_User: "X_User" is no name that every server reads alike; a header field is named with letters, digits and hyphens',
    'postern.yaml:6:79 routes[0].headers.request.set.Sec-WebSocket-Key: "Sec-WebSocket-Key" belongs to one connection and to the framing of the body, which Postern looks after',
    'postern.yaml:7:18 routes[0].headers.request.remove[0]: "X-Forwarded-For" is Postern’s own to say',
    'postern.yaml:7:35 routes[0].headers.request.remove[1]: "Cookie" is ruled by the route’s cookies.request',
    'postern.yaml:7:43 routes[0].headers.request.remove[2]: "Content-Encoding" says how to read the body, and goes with it as it comes',
    'postern.yaml:8:17 routes[0].headers.request.allow[0]: "Host" is the host of upstream',
    'postern.yaml:8:23 routes[0].headers.request.allow[1]: "X-Real-IP" never passes from a client, because nobody could believe it; take it out',
    'postern.yaml:8:34 routes[0].headers.request.allow[2]: "X-Forwarded-User" never passes from a client, because nobody could believe it; take it out',
    'postern.yaml:9:22 routes[0].headers.claims.Via: "Via" is Postern’s own to say',
    'postern.yaml:9:39 routes[0].headers.claims.Proxy-User: "Proxy-User" belongs to one connection and to the framing of the body, which Postern looks after',
  ]);
});

test.each([
  ['Set-Cookie', 'is ruled by the route’s cookies.response'],
  ['Content-Security-Policy', 'is the route’s contentSecurityPolicy'],
  ['X-Content-Type-Options', 'is always nosniff'],
  ['Strict-Transport-Security', 'is strictTransportSecurity, at the top level of this file'],
  ['Clear-Site-Data', 'could take the session cookie away'],
  ['Access-Control-Allow-Origin', 'opens the app’s origin to others, and there is no CORS here'],
  ['Transfer-Encoding', 'belongs to one connection and to the framing of the body, which Postern looks after'],
  ['Content-Length', 'belongs to one connection and to the framing of the body, which Postern looks after'],
  ['Content-Encoding', 'says how to read the body, and goes with it as it comes'],
])('no route sets %s in answers (HD-07)', (name, why) => {
  expect(saidOf(`headers: { response: { set: { ${name}: x } } }`)).toEqual([
    `headers.response.set.${name}: "${name}" ${why}`,
  ]);
});

test('an answer’s Server never passes, so a list that lets it through is a mistake', () => {
  expect(saidOf('headers: { response: { allow: [server] } }')).toEqual([
    'headers.response.allow[0]: "server" never passes from an upstream; response.set can set it',
  ]);
});

test('a field is said once, however it is written', () => {
  expect(saidOf('headers: { request: { set: { X-User: a, x-user: b } }, claims: { X-USER: sub } }')).toEqual([
    'headers.request.set.x-user: "x-user" is set twice on this route; one of the two would be lost',
    'headers.claims.X-USER: "X-USER" is set twice on this route; one of the two would be lost',
  ]);
});

test('a value is one line of ASCII (HD-08)', () => {
  expect(saidOf('headers: { request: { set: { X-A: "a\\r\\nX-B: b", X-C: ü, X-D: 1, X-E: " a" } } }')).toEqual([
    'headers.request.set.X-A: must be text of printable ASCII characters on one line, without spaces around it, not "a\\r\\nX-B: b"',
    'headers.request.set.X-C: must be text of printable ASCII characters on one line, without spaces around it, not "ü"',
    'headers.request.set.X-D: must be text (numbers, true and false need quotes here), not 1',
    'headers.request.set.X-E: must be text of printable ASCII characters on one line, without spaces around it, not " a"',
  ]);
});

test.each(['unix:run/app.sock', 'unix:/', 'unix://run?x', 'unix:/run/app.sock:/v1', 'http+unix://x'])(
  'no upstream: %s',
  (upstream) => {
    expect(load(rightSave(`routes: [{ path: /api, upstream: "${upstream}" }]`)).kind).toBe('invalid');
  },
);

test('TLS settings that would not be used, or could not, are refused (RT-18)', () => {
  const [orders, other] = [makeCertificate(['orders']), makeCertificate(['other'])];
  const cutOff = `${orders.cert}\n${other.cert.slice(0, 200)}`;
  const files = {
    '/ca.pem': orders.cert,
    '/cut-off.pem': cutOff,
    '/orders.pem': orders.cert,
    '/other.key': other.key,
    '/none.pem': 'x',
  };
  expect(saidOf('tls: { ca: { file: /ca.pem } }', { files })).toEqual([]);
  expect(saidOf('tls: { ca: { file: /none.pem } }', { files })).toEqual([
    'tls.ca.file: /none.pem holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)',
  ]);
  expect(saidOf('tls: { ca: { file: /cut-off.pem } }', { files })).toEqual([
    'tls: its files cannot be used: the authority’s certificate is missing, cut off or damaged',
  ]);
  expect(saidOf('tls: { cert: { file: /orders.pem } }', { files })).toEqual([
    'tls.cert: needs routes[0].tls.key beside it: a client certificate is both',
  ]);
  expect(saidOf('tls: { cert: { file: /orders.pem }, key: { file: /other.key } }', { files })).toEqual([
    'tls: its files cannot be used: key values mismatch',
  ]);
  for (const upstream of ['http://orders', 'unix:/run/orders.sock']) {
    expect(
      complaintsAbout(rightSave(`routes: [{ path: /api, upstream: "${upstream}", tls: { serverName: orders } }]`))[0],
    ).toContain(`routes[0].tls: would not be used: ${upstream} is not on https`);
  }
  expect(load(rightSave('routes: [{ path: /api, upstream: https://o, tls: { verify: false } }]')).kind).toBe('invalid');
  expect(load(rightSave('routes: [{ path: /api, upstream: https://o, tls: { ca: {} } }]')).kind).toBe('invalid');
});
