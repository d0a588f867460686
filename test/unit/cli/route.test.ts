import { expect, test } from '@jest/globals';
import type { Terminal } from '../../../src/cli/configuration.ts';
import { route } from '../../../src/cli/route.ts';
import { rightSave, sessionKey } from '../../support/config-text.ts';

const config = rightSave(`
routes:
  - { path: /api, upstream: http://orders:8080/v1 }
  - { path: /api/catalog, upstream: https://catalog, auth: optional, token: id, stripPath: true }
  - { path: /api/health, upstream: http://orders:8080, auth: none, methods: [GET, HEAD] }
`);

function answerTo(method: string, target: string, text = config): { code: number; stdout: string[]; stderr: string[] } {
  const stdout: string[] = [];
  const stderr: string[] = [];
  const terminal: Terminal = {
    print: (printed) => void stdout.push(...printed.trimEnd().split('\n')),
    report: (line) => void stderr.push(line),
    readFile: () => text,
    env: { CLIENT_SECRET: 'a client secret', SESSION_KEY: sessionKey, REDIS_URL: 'redis://redis' },
    now: Date.now,
  };
  return { code: route({ method, target }, { config: 'postern.yaml' }, terminal), stdout, stderr };
}

test('a request is followed to its upstream', () => {
  expect(answerTo('get', '/api/orders/1?full=1')).toEqual({
    code: 0,
    stdout: [
      'route     /api (routes[0], line 2)',
      'why       the only route path that fits',
      'auth      required: without a session 401 session_required',
      'token     the access token, as Authorization: Bearer',
      'upstream  GET http://orders:8080/v1/api/orders/1?full=1',
      'timeout   connect 5s, head of the answer 1m, between two pieces 5m',
    ],
    stderr: [],
  });
});

test('the longest path wins, and the answer says over which', () => {
  expect(answerTo('GET', '/api/catalog/7').stdout).toEqual([
    'route     /api/catalog (routes[1], line 3)',
    'why       the longest of the route paths that fit: /api/catalog, /api',
    'auth      optional: without a cookie it goes through without a token',
    'token     the ID token, as Authorization: Bearer',
    'upstream  GET https://catalog/7',
    'timeout   connect 5s, head of the answer 1m, between two pieces 5m',
  ]);
});

test('whatever a route says is in the answer, save the values of header fields, which may be secrets', () => {
  const text = rightSave(`
routes:
  - path: /api
    upstream: https://orders
    require: { realm_access.roles: [admin, owner], email_verified: [true] }
    rewrite: /v2
    headers:
      request: { set: { X-Api-Key: s3cret }, remove: [X-Debug], allow: [Accept] }
      claims: { X-User-Id: sub }
      response: { set: { X-Frame-Options: DENY }, remove: [X-Internal], allow: [ETag] }
    cookies: { request: [theme], response: [lang] }
    contentSecurityPolicy: upstream
    cache: upstream
    csrf: { typedUrl: true, navigation: true }
    stepUp: { acrValues: [gold], maxAge: true }
    websocket: { idleTimeout: 10m, maxAge: 8h }
    activity: false
    limits: { body: 10mb }
    tls: { serverName: orders.internal }
    timeout: { headers: 5m }
`);
  const { stdout } = answerTo('POST', '/api/orders?x=1', text);
  expect(stdout.slice(2)).toEqual([
    'auth       required: without a session 401 session_required',
    'require    realm_access.roles: admin or owner, and email_verified: true; else 403 forbidden',
    'token      the access token, as Authorization: Bearer',
    'upstream   POST https://orders/v2/orders?x=1',
    'tls        server name orders.internal',
    'request    sets X-Api-Key; tells X-User-Id (sub); removes X-Debug; of the client’s fields passes only: Accept; passes the cookies theme',
    'response   sets X-Frame-Options; removes X-Internal; of the upstream’s fields passes only: ETag; passes the cookies lang; Content-Security-Policy is the upstream’s, where it sends one; caching is as the upstream says',
    'csrf       typed addresses pass; navigations need no X-CSRF',
    'stepUp     acr_values gold; max_age',
    'websocket  closed after 10m of silence; after 8h in any case',
    'activity   calls do not keep the session alive',
    'body       at most 10mb, else 413 payload_too_large',
    'timeout    connect 5s, head of the answer 5m, between two pieces 5m',
  ]);
  expect(stdout.join()).not.toContain('s3cret');
});

test('a socket is named by its path', () => {
  const text = rightSave('routes: [{ path: /api, upstream: unix:/run/orders.sock, stripPath: true }]');
  expect(answerTo('GET', '/api/orders', text).stdout).toContain('upstream  GET /orders over unix:/run/orders.sock');
});

test('a route without auth gets no token', () => {
  expect(answerTo('GET', '/api/health').stdout).toContain('token     none');
});

test('a method that the route does not take is told its 405', () => {
  expect(answerTo('POST', '/api/health').stdout).toContain('answer  405 method_not_allowed');
});

test.each([
  ['/api/../admin', '400 bad_request'],
  ['/api//admin', '400 bad_request'],
  ['/API/admin', '400 bad_request'],
  ['/api/a%2Fb', '400 bad_request'],
])('%s is told its %s', (target, answer) => {
  const { code, stdout } = answerTo('GET', target);
  expect(stdout.find((line) => line.startsWith('answer'))).toBe(`answer  ${answer}`);
  expect(code).toBe(0);
});

test('our own endpoints, the app and nothing at all are told apart', () => {
  expect(answerTo('GET', '/bff/login').stdout).toEqual([
    'endpoint  GET /bff/login',
    'why       /bff holds Postern’s own endpoints',
  ]);
  expect(answerTo('DELETE', '/bff/sessions/x').stdout[0]).toBe('endpoint  DELETE /bff/sessions/:handle');
  expect(answerTo('GET', '/bff/nothing').stdout[0]).toBe('answer  404 no_route');
  expect(answerTo('GET', '/bff/logout').stdout).toContain('answer  405 method_not_allowed');
  expect(answerTo('GET', '/bff/frontchannel-logout').stdout[0]).toBe('answer  404 no_route');
  expect(answerTo('GET', '/cart').stdout).toContain('then   404 no_route (there is no spa section)');
  const withApp = `${config}spa: { upstream: http://localhost:5173 }\n`;
  expect(answerTo('GET', '/cart', withApp).stdout).toContain('then   the app behind http://localhost:5173');
});

test('what is no request is a mistake of usage', () => {
  expect(answerTo('/api', 'GET')).toEqual({
    code: 64,
    stdout: [],
    stderr: ['postern: "/api" is no method; write it as in: postern route GET /api/orders/1'],
  });
  expect(answerTo('GET', 'api').code).toBe(64);
});

test('a wrong configuration is told before anything else is answered', () => {
  expect(answerTo('GET', '/api', rightSave('loggin: {}'))).toEqual({
    code: 78,
    stdout: [],
    stderr: ['postern.yaml:1:1 loggin: unknown key; did you mean "login"?'],
  });
});

test.each([
  ['TRACE', '405 method_not_allowed'],
  ['CONNECT', '405 method_not_allowed'],
  ['PROPFIND', '405 method_not_allowed'],
  ['FOO', '400 bad_request'],
])('%s on a route without methods is told its %s, as the server does', (method, answer) => {
  expect(answerTo(method, '/api').stdout.map((line) => line.replace(/ +/, ' '))).toContain(`answer ${answer}`);
});
