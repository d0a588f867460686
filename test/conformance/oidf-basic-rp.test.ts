// Reproduces the checks of the OpenID Foundation's basic relying party plan (oidcc-client-basic-certification-test-plan); each name is a module's.
// A negative module passes when nobody is signed in and the provider saw no use of the token afterwards.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { Misbehaviour, MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { connectTo, logIn, tokensOf } from '../support/provider-under-test.ts';
import type { Provider } from '../../src/oidc/provider.ts';

let op: MisbehavingProvider;
let provider: Provider;

beforeEach(async () => {
  op = await startMisbehavingProvider();
  provider = connectTo(op);
});
afterEach(async () => {
  await provider.close();
  await op.close();
});

async function expectRefusal(misbehaviour: Misbehaviour): Promise<void> {
  Object.assign(op.does, misbehaviour);
  const { outcome } = await logIn(provider, op.authorize);
  expect(outcome.kind).toBe('invalid');
  expect(op.endpoints.seen('userinfo')).toEqual([]);
}

test('oidcc-client-test: a login, userinfo included', async () => {
  const { outcome } = await logIn(provider, op.authorize);
  expect(tokensOf(outcome).claims).toMatchObject({ sub: 'alice', email: 'alice@example.test' });
  expect(op.endpoints.seen('userinfo')).toHaveLength(1);
});

test('oidcc-client-test-invalid-iss: the ID token of another issuer is refused (ID-01)', () =>
  expectRefusal({ idToken: { iss: 'https://other.example.test' } }));

test('oidcc-client-test-missing-sub: an ID token about nobody is refused (ID-11)', () =>
  expectRefusal({ idToken: { sub: undefined } }));

test('oidcc-client-test-invalid-aud: an ID token for another client is refused (ID-02)', () =>
  expectRefusal({ idToken: { aud: 'somebody-else' } }));

test('oidcc-client-test-missing-aud: an ID token for nobody is refused (ID-02)', () =>
  expectRefusal({ idToken: { aud: undefined } }));

test('oidcc-client-test-missing-iat: an ID token from no time is refused (ID-10)', () =>
  expectRefusal({ idToken: { iat: undefined } }));

test('oidcc-client-test-kid-absent-single-jwks: without a key id, the only key is used (ID-09)', async () => {
  op.does.idTokenHeader = { kid: undefined };
  tokensOf((await logIn(provider, op.authorize)).outcome);
});

test('oidcc-client-test-kid-absent-multiple-jwks: without a key id, every key is tried (ID-09)', async () => {
  op.rotateKeys({ keep: true });
  op.rotateKeys({ keep: true });
  op.does.idTokenHeader = { kid: undefined };
  tokensOf((await logIn(provider, op.authorize)).outcome);
});

test('without a key id, no key that fits means refusal (ID-09)', async () => {
  op.rotateKeys({ keep: true });
  await expectRefusal({ idTokenHeader: { kid: undefined }, signature: 'unknown-key' });
});

test('oidcc-client-test-idtoken-sig-rs256: a good RS256 signature is accepted (ID-05)', async () => {
  tokensOf((await logIn(provider, op.authorize)).outcome);
});

test('oidcc-client-test-idtoken-sig-none: an unsigned ID token is refused (ID-06)', () =>
  expectRefusal({ signature: 'none' }));

test('oidcc-client-test-idtoken-sig-none: also where the metadata offers none (ID-06)', () =>
  expectRefusal({ signature: 'none', metadata: { id_token_signing_alg_values_supported: ['none', 'RS256'] } }));

test('oidcc-client-test-invalid-sig-rs256: a broken signature is refused (ID-05)', () =>
  expectRefusal({ signature: 'broken' }));

test('oidcc-client-test-invalid-sig-hs256: a signature made with the client secret is refused (ID-06)', () =>
  expectRefusal({
    signature: 'hs256-client-secret',
    metadata: { id_token_signing_alg_values_supported: ['RS256', 'HS256'] },
  }));

test('a signature made with the public key as HMAC secret is refused (ID-06)', () =>
  expectRefusal({
    signature: 'hs256-public-key',
    metadata: { id_token_signing_alg_values_supported: ['RS256', 'HS256'] },
  }));

test('oidcc-client-test-invalid-sig-es256: an algorithm that the provider does not announce is refused (ID-06)', () =>
  expectRefusal({ signature: 'es256' }));

test('oidcc-client-test-userinfo-invalid-sub: userinfo about somebody else ends the login (ID-20)', async () => {
  op.does.userinfo = { sub: 'mallory', email: 'mallory@example.test' };
  expect((await logIn(provider, op.authorize)).outcome.kind).toBe('invalid');
});

test('oidcc-client-test-nonce-invalid: another login’s nonce is refused (ID-12)', () =>
  expectRefusal({ idToken: { nonce: 'another' } }));

test('oidcc-client-test-nonce-invalid: so is an ID token without one (ID-12)', () =>
  expectRefusal({ idToken: { nonce: undefined } }));

test('oidcc-client-test-scope-userinfo-claims: the scopes’ claims are read from userinfo', async () => {
  op.does.userinfo = { phone_number: '+1 555 0100', address: { country: 'CH' } };
  const { outcome } = await logIn(provider, op.authorize);
  expect(tokensOf(outcome).claims).toMatchObject({
    name: 'Alice',
    phone_number: '+1 555 0100',
    address: { country: 'CH' },
  });
});

test('oidcc-client-test-client-secret-basic: id and secret travel form-encoded in HTTP Basic, and nowhere else (OA-12)', async () => {
  await logIn(provider, op.authorize);
  const [request] = op.endpoints.seen('token');
  const [id, secret] = Buffer.from(request!.authorization!.replace('Basic ', ''), 'base64').toString().split(':');
  expect(decodeURIComponent(id!)).toBe(op.clientId);
  expect(decodeURIComponent(secret!.replaceAll('+', ' '))).toBe(op.clientSecret);
  expect(request!.parameters.has('client_secret')).toBe(false);
});
