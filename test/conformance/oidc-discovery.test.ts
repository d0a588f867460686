// OpenID Connect Discovery 4, RFC 8414: what metadata and signing keys must fulfil, and what happens while they do not. See also oidf-config-rp.test.ts.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { connectTo, logIn, tokensOf } from '../support/provider-under-test.ts';
import { until } from '../support/until.ts';
import { CallFailure } from '../../src/oidc/http.ts';
import { createIdTokenVerifier } from '../../src/oidc/id-token.ts';
import { checkMetadata } from '../../src/oidc/metadata.ts';
import { createSigningKeys } from '../../src/oidc/signing-keys.ts';
import type { Provider } from '../../src/oidc/provider.ts';

let op: MisbehavingProvider;
let provider: Provider | undefined;

beforeEach(async () => {
  op = await startMisbehavingProvider();
});
afterEach(async () => {
  await provider?.close();
  await op.close();
});

function connect(options: Parameters<typeof connectTo>[1] = {}): Provider {
  provider = connectTo(op, options);
  return provider;
}

const refused = { code: 'provider_unavailable', status: 503 };

test('a thousand tokens with invented key ids cause one request for keys (ID-08, ST-16)', async () => {
  const ours = connect();
  const { outcome } = await logIn(ours, op.authorize);
  const [, payload, signature] = tokensOf(outcome).idToken.split('.');
  const forged = Array.from({ length: 1_000 }, (_, n) => {
    const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: `invented-${n}` })).toString('base64url');
    return ours.verifyIdToken([header, payload, signature].join('.'));
  });
  expect((await Promise.all(forged)).every(({ kind }) => kind === 'invalid')).toBe(true);
  expect(op.endpoints.seen('jwks').length).toBeLessThanOrEqual(2);
});

test('keys that cannot be had are asked for once a second, too (ST-16)', async () => {
  let asked = 0;
  const keys = createSigningKeys({
    now: () => 1_000_000,
    fetch: () => {
      asked += 1;
      return Promise.reject(new CallFailure('ECONNREFUSED', { sent: false, answered: false }));
    },
  });
  const verifier = createIdTokenVerifier(keys);
  const metadata = checkMetadata(
    { issuer: op.issuer, authorization_endpoint: op.issuer, token_endpoint: op.issuer, jwks_uri: `${op.issuer}/jwks` },
    op.issuer,
  );
  const token = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.e30.AAAA`;
  for (let turn = 0; turn < 20; turn += 1) expect((await verifier.verify(token, metadata)).kind).toBe('unavailable');
  expect(asked).toBe(1);
});

test('keys out of reach at login make it unavailable, and nobody is signed in', async () => {
  op.endpoints.behaviours.jwks.fail('unavailable');
  expect((await logIn(connect(), op.authorize)).outcome.kind).toBe('unavailable');
  expect(op.endpoints.seen('userinfo')).toEqual([]);
});

test('signing keys are had only from the metadata: jku, x5u and jwk in a token are never followed (ID-07)', async () => {
  let visits = 0;
  const evil = createServer((_request, response) => {
    visits += 1;
    response.end('{"keys":[]}');
  });
  await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
  const evilUrl = `http://127.0.0.1:${(evil.address() as AddressInfo).port}/jwks`;
  op.does.signature = 'unknown-key';
  op.does.idTokenHeader = { jku: evilUrl, x5u: evilUrl, jwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } };
  expect((await logIn(connect(), op.authorize)).outcome.kind).toBe('invalid');
  expect(visits).toBe(0);
  await new Promise((resolve) => evil.close(resolve));
});

test.each([
  ['an array', '[]'],
  ['null', 'null'],
  ['a page', '<!doctype html>'],
  ['nothing', ''],
  ['half of it', '{"issuer":'],
  ['deep nesting', '['.repeat(50_000)],
  ['5 MB', JSON.stringify({ padding: 'x'.repeat(5_000_000) })],
  ['a metadata without endpoints', '{"issuer":"ISSUER"}'],
])('metadata that is %s is a clean error (FL-17)', async (_name, text) => {
  op.does.body = { discovery: { text: text.replace('ISSUER', op.issuer) } };
  await expect(connect().startLogin({})).rejects.toMatchObject(refused);
});

test.each([
  ['an array', '[]'],
  ['null', 'null'],
  ['a page', '<!doctype html>'],
  ['keys that are no keys', '{"keys":[null,7]}'],
  ['5 MB', JSON.stringify({ keys: [], padding: 'x'.repeat(5_000_000) })],
])('keys that are %s sign nobody in and break nothing (FL-17)', async (_name, text) => {
  const ours = connect();
  op.does.body = { jwks: { text } };
  expect((await logIn(ours, op.authorize)).outcome.kind).toBe('unavailable');
});

test.each(['discovery', 'jwks', 'token', 'userinfo', 'revocation', 'par'] as const)(
  'a redirect from the %s endpoint is never followed (FL-17)',
  async (endpoint) => {
    let visits = 0;
    const evil = createServer((_request, response) => {
      visits += 1;
      response.end('{}');
    });
    await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
    if (endpoint === 'par') op.does.metadata = { pushed_authorization_request_endpoint: `${op.issuer}/par` };
    op.endpoints.behaviours[endpoint].redirectTo = `http://127.0.0.1:${(evil.address() as AddressInfo).port}/`;
    op.endpoints.behaviours[endpoint].fail('redirect');
    const ours = connect();
    await logIn(ours, op.authorize).catch(() => undefined);
    await ours.revoke('token');
    expect(op.endpoints.seen(endpoint).length).toBeGreaterThan(0);
    expect(visits).toBe(0);
    await new Promise((resolve) => evil.close(resolve));
  },
);

test.each([
  ['token_endpoint', 'http://id.example.test/token'],
  ['jwks_uri', 'http://id.example.test/jwks'],
  ['revocation_endpoint', 'http://id.example.test/revoke'],
  ['end_session_endpoint', 'javascript:alert(1)'],
  ['authorization_endpoint', undefined],
])('an https issuer whose %s is %s is refused (OA-23, RV-03)', (member, value) => {
  const issuer = 'https://id.example.test';
  const good = {
    issuer,
    authorization_endpoint: `${issuer}/a`,
    token_endpoint: `${issuer}/t`,
    jwks_uri: `${issuer}/j`,
  };
  expect(checkMetadata(good, issuer)).toEqual(good);
  expect(() => checkMetadata({ ...good, [member]: value }, issuer)).toThrow(member);
});

test.each([
  ['PKCE without S256', { code_challenge_methods_supported: ['plain'] }],
  ['pushing required and nowhere to push', { require_pushed_authorization_requests: true }],
  ['HMAC signatures only', { id_token_signing_alg_values_supported: ['HS256', 'none'] }],
])('metadata with %s is refused (FL-06, PAR-02, ID-06)', async (_name, metadata) => {
  op.does.metadata = metadata;
  await expect(connect().startLogin({})).rejects.toMatchObject(refused);
});

test('good metadata stays in use when a later answer is not good (ST-18, FL-18)', async () => {
  let now = Date.now();
  const logLines: string[] = [];
  const ours = connect({ now: () => now, logLines });
  await ours.startLogin({});
  op.does.metadata = { issuer: 'https://other.example.test' };
  now += 600_000;
  await ours.startLogin({});
  await until(() => logLines.some((line) => line.includes('metadata cannot be had')));
  expect(op.endpoints.seen('discovery')).toHaveLength(2);
  expect((await ours.startLogin({})).url.origin).toBe(op.issuer);
});

test('changed metadata is in use after ten minutes (OA-24)', async () => {
  let now = Date.now();
  const ours = connect({ now: () => now });
  await ours.startLogin({});
  op.does.metadata = { end_session_endpoint: 'http://127.0.0.1:1/new-logout' };
  now += 600_000;
  await ours.startLogin({});
  await until(() => ours.endSessionOrigin() === 'http://127.0.0.1:1');
});

test('a provider without end_session_endpoint means a local logout, without an error (LOG-06)', async () => {
  op.does.metadata = { end_session_endpoint: undefined };
  expect(await connect().logoutRequest('id-token', 'state')).toBeNull();
});
