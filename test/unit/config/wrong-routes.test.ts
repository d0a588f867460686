import { expect, test } from '@jest/globals';
import { complaintsAbout, rightSave } from '../../support/config-text.ts';

test('route paths are plain, outside of basePath, and each stands once', () => {
  expect(
    complaintsAbout(
      rightSave(`
routes:
  - { path: /api/, upstream: http://orders:8080 }
  - { path: /api/../x, upstream: http://orders:8080 }
  - { path: /bff, upstream: http://orders:8080 }
  - { path: /BFF/x, upstream: http://orders:8080 }
  - { path: /a, upstream: http://orders:8080 }
  - { path: /a, upstream: http://orders:8080 }
`),
    ),
  ).toEqual([
    'postern.yaml:2:13 routes[0].path: must be a path such as /api or /api/orders, of letters, digits and - . _ ~, without a slash at its end, not "/api/"',
    'postern.yaml:3:13 routes[1].path: must be a path without . or .. segments, not "/api/../x"',
    'postern.yaml:4:13 routes[2].path: "/bff" is under basePath "/bff", where Postern’s own endpoints are',
    'postern.yaml:5:13 routes[3].path: "/BFF/x" is under basePath "/bff", where Postern’s own endpoints are',
    'postern.yaml:7:13 routes[5].path: "/a" is the path of routes[4] too; a path has one route',
  ]);
});

test('a route around basePath is refused', () => {
  expect(
    complaintsAbout(
      rightSave(`
basePath: /auth/bff
routes: [{ path: /auth, upstream: http://orders:8080 }]
`),
    ),
  ).toEqual([
    'postern.yaml:2:18 routes[0].path: "/auth" has basePath "/auth/bff" under it, where Postern’s own endpoints are',
  ]);
});

test('every mistake of every route is told at once', () => {
  expect(
    complaintsAbout(
      rightSave(`
routes:
  - { path: /a, upstream: orders:8080 }
  - { path: /b, upstream: "http://user:word@orders" }
  - { path: /c, upstream: http://orders, methods: [get, POTS] }
  - { path: /d, upstream: https://shop.example.com/x }
  - { path: /e, auth: optinal, upstream: http://orders }
  - { path: /f }
  - /g
`),
    ),
  ).toEqual([
    'postern.yaml:2:27 routes[0].upstream: must be an http or https URL without query, fragment or user name, or the path of a socket as in unix:/run/app.sock, not "orders:8080"',
    'postern.yaml:3:27 routes[1].upstream: must be an http or https URL without query, fragment or user name, or the path of a socket as in unix:/run/app.sock, not "http://[redacted]@orders"',
    'postern.yaml:4:52 routes[2].methods[0]: must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, not "get"; did you mean "GET"?',
    'postern.yaml:4:57 routes[2].methods[1]: must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, not "POTS"; did you mean "POST"?',
    'postern.yaml:5:27 routes[3].upstream: "https://shop.example.com/x" is publicUrl itself: Postern would call itself without end',
    'postern.yaml:6:23 routes[4].auth: must be required, optional or none, not "optinal"; did you mean "optional"?',
    'postern.yaml:7:5 routes[5].upstream: missing; it must be an http or https URL without query, fragment or user name, or the path of a socket as in unix:/run/app.sock',
    'postern.yaml:8:5 routes[6]: must be a section with path and upstream, not "/g"',
  ]);
});

test('a route without auth never has a token', () => {
  expect(
    complaintsAbout(rightSave('routes: [{ path: /api, upstream: http://orders:8080, auth: none, token: access }]')),
  ).toEqual([
    'postern.yaml:1:73 routes[0].token: auth: none never sends a token; take token out, or set auth to required or optional',
  ]);
});

test('no route lets a cookie of Postern’s pass (S-11)', () => {
  expect(
    complaintsAbout(
      rightSave(`
routes:
  - path: /api
    upstream: http://orders:8080
    cookies: { request: [theme, __Host-Http-postern], response: [postern-tx-1, "a;b"] }
`),
    ),
  ).toEqual([
    'postern.yaml:4:33 routes[0].cookies.request[1]: "__Host-Http-postern" is a cookie of Postern’s own (cookie.name), and those never pass',
    'postern.yaml:4:66 routes[0].cookies.response[0]: "postern-tx-1" is a cookie of Postern’s own (cookie.name), and those never pass',
    'postern.yaml:4:80 routes[0].cookies.response[1]: must be a cookie name: letters, digits and - _ . and at most 64 of them, not "a;b"',
  ]);
});

test('a route for everything would take the app away', () => {
  expect(
    complaintsAbout(
      rightSave(`
spa: { directory: app }
routes: [{ path: /, upstream: http://orders:8080 }]
`),
    ),
  ).toEqual([
    'postern.yaml:1:19 spa.directory: /etc/postern/app/index.html cannot be read: there is no such file; is the app built?',
    'postern.yaml:2:18 routes[0].path: "/" would take every path from the app (spa); give the API a prefix such as /api',
  ]);
});

test('a nonce that is missing in the page or in the policy is told: scripts would stop, or nothing would be protected', () => {
  const app = { files: { '/srv/app/index.html': '<script nonce="__NONCE__">' } };
  const written = (keys: string): string => rightSave(`spa: { directory: /srv/app, ${keys} }`);
  expect(complaintsAbout(written('noncePlaceholder: __NONCE__'), app)).toEqual([]);
  expect(
    complaintsAbout(written(`noncePlaceholder: __NONCE__, contentSecurityPolicy: "script-src 'nonce-__NONCE__'"`), app),
  ).toEqual([]);
  expect(
    complaintsAbout(written(`noncePlaceholder: __OTHER__, contentSecurityPolicy: "script-src 'self'"`), app),
  ).toEqual([
    'postern.yaml:1:47 spa.noncePlaceholder: "__OTHER__" is not in /srv/app/index.html; is it the html.cspNonce of the build?',
    `postern.yaml:1:81 spa.contentSecurityPolicy: does not name 'nonce-__OTHER__', so that no script would run under the nonce; name it, or take noncePlaceholder out`,
  ]);
  expect(complaintsAbout(written('noncePlaceholder: "a b"'), app)).toEqual([
    'postern.yaml:1:47 spa.noncePlaceholder: must be a placeholder: 8 to 64 letters, digits and _ { } % $ # @ ! . - which stand nowhere else in the pages, such as __CSP_NONCE__, not "a b"',
  ]);
});
