// The listener that gateways ask, spoken to directly: what it says yes to, and what a yes carries.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { exchange } from '../support/raw-client.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startPostern } from '../support/postern.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { signIn } from '../support/signed-in.ts';
import { createCaller } from '../support/gate-call.ts';

let provider: RealProvider;
let postern: LocalPostern;
let alice: SignedIn;
const { call } = createCaller(() => ({
  address: postern.forwardAuthUrl ?? '',
  host: new URL(postern.publicUrl).host,
}));

beforeAll(async () => {
  provider = await startRealProvider();
  postern = await startPostern(provider, {
    forwardAuth: { listen: '127.0.0.1:0' },
    csrf: { requireHeader: true },
    routes: [
      { path: '/api', upstream: 'http://127.0.0.1:1' },
      { path: '/api/reports', upstream: 'http://127.0.0.1:1', methods: ['GET'] },
      { path: '/api/catalog', upstream: 'http://127.0.0.1:1', auth: 'optional' },
      { path: '/ws', upstream: 'http://127.0.0.1:1', websocket: true },
    ],
  });
  alice = await signIn(postern, provider);
});

afterAll(async () => {
  await postern.stop();
  await provider.close();
});

const asking = (method: string, uri: string): Record<string, string> => ({
  'x-forwarded-method': method,
  'x-forwarded-uri': uri,
  'x-csrf': '1',
});

test('a yes is 200 with the Bearer token, an empty body, and nothing that a cache may keep', async () => {
  const yes = await call('/forward-auth', { cookie: alice.cookie, headers: asking('GET', '/api/orders?x=1') });
  expect(yes).toMatchObject({ status: 200, body: '', headers: { 'cache-control': 'no-store' } });
  expect(yes.headers.authorization).toMatch(/^Bearer .{20}/);
});

test('a gateway may ask with the original method, and the original path behind its own: Envoy’s way', async () => {
  const headers = { 'x-csrf': '1' };
  const yes = await call('/forward-auth/api/orders?x=1', { method: 'POST', cookie: alice.cookie, headers });
  expect(yes).toMatchObject({ status: 200 });
  expect(yes.headers.authorization).toMatch(/^Bearer /);
  const no = await call('/forward-auth/api/reports', { method: 'POST', cookie: alice.cookie, headers });
  expect(no).toMatchObject({ status: 405, problem: { code: 'method_not_allowed' } });
});

test('asked so, what the X-Forwarded fields say of another request does not count', async () => {
  const headers = asking('GET', '/api/catalog');
  expect(await call('/forward-auth/api/orders', { headers })).toMatchObject({ status: 401 });
});

test('a yes without a token has an empty Authorization, so that a gateway overwrites what the client sent', async () => {
  const yes = await call('/forward-auth', {
    headers: { ...asking('GET', '/api/catalog'), authorization: 'Bearer forged' },
  });
  expect(yes).toMatchObject({ status: 200, headers: { authorization: '' } });
});

test('a question that does not say what it is about is malformed, and another host is not ours', async () => {
  const { cookie } = alice;
  const said = asking('GET', '/api/orders');
  expect(await call('/forward-auth', { cookie, headers: { 'x-csrf': '1' } })).toMatchObject({ status: 400 });
  expect(await call('/', { cookie, headers: said })).toMatchObject({ status: 400 });
  for (const uri of ['/api/../admin', '//api/orders', '/api/orders, /api/catalog', 'http://localhost/api', '']) {
    const answer = await call('/forward-auth', { cookie, headers: asking('GET', uri) });
    expect([uri, answer.status]).toEqual([uri, 400]);
  }
  const elsewhere = await call('/forward-auth', { cookie, headers: { ...said, 'x-forwarded-host': 'evil.example' } });
  expect(elsewhere).toMatchObject({ status: 421, problem: { code: 'misdirected' } });
  const nowhere = await call('/forward-auth', { cookie, headers: asking('GET', '/other') });
  expect(nowhere).toMatchObject({ status: 404, problem: { code: 'no_route' } });
});

test('the cross-site rule applies to the original request, csrf.requireHeader included (CSRF-01)', async () => {
  const withoutHeader = { 'x-forwarded-method': 'GET', 'x-forwarded-uri': '/api/orders' };
  const refused = await call('/forward-auth', { cookie: alice.cookie, headers: withoutHeader });
  expect(refused).toMatchObject({ status: 403, problem: { code: 'csrf_rejected' } });
});

// As the page of the app makes it: no script can set a header on it.
function handshaking(uri: string): Record<string, string> {
  const key = { 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' };
  return { 'x-forwarded-method': 'GET', 'x-forwarded-uri': uri, origin: postern.publicUrl, ...key };
}

test('a WebSocket handshake of our own pages is let off csrf.requireHeader, and of nobody else’s', async () => {
  const { cookie } = alice;
  const yes = await call('/forward-auth', { cookie, headers: handshaking('/ws') });
  expect(yes).toMatchObject({ status: 200 });
  expect(yes.headers.authorization).toMatch(/^Bearer .{20}/);
  const foreign = { ...handshaking('/ws'), origin: 'https://evil.example' };
  const no = await call('/forward-auth', { cookie, headers: foreign });
  expect(no).toMatchObject({ status: 403, problem: { code: 'csrf_rejected' } });
});

test('a route that lets no WebSocket through is none for a handshake', async () => {
  const { cookie } = alice;
  const no = await call('/forward-auth', { cookie, headers: { ...handshaking('/api/orders'), 'x-csrf': '1' } });
  expect(no).toMatchObject({ status: 404, problem: { code: 'no_route' } });
});

test('the second question never gets a token: a refusal as the client must see it, or a 503 when there is none any more', async () => {
  const refused = await call('/refusal', { headers: asking('GET', '/api/orders') });
  expect(refused).toMatchObject({ status: 401, problem: { code: 'session_required' } });
  const over = await call('/refusal', { cookie: alice.cookie, headers: asking('GET', '/api/orders') });
  expect(over).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  expect(over.headers.authorization).toBeUndefined();
});

test('bytes that are no request get a 400, and the listener lives on', async () => {
  const { text } = await exchange(postern.forwardAuthUrl ?? '', '\x16\x03\x01 this is not HTTP\r\n\r\n');
  expect(text).toMatch(/^HTTP\/1\.1 400 /);
  expect(await call('/forward-auth', { headers: asking('GET', '/api/catalog') })).toMatchObject({ status: 200 });
});
