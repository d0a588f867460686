// Reproduces the checks of the OpenID Foundation's basic relying party plan (oidcc-client-basic-certification-test-plan), and those that its
// comprehensive plan adds for the code flow. Each name is a module's; each runs through the whole app, from /bff/login to the API call.
import { expect, test } from '@jest/globals';
import { newSessionKey } from '../support/postern.ts';
import type { Misbehaviour } from '../support/misbehaving-provider.ts';
import { expectRefusal, expectSignedIn, startRelyingParty } from '../support/relying-party.ts';

const offersHmac = { id_token_signing_alg_values_supported: ['RS256', 'HS256'] };

test.each<[module: string, claim: string, misbehaviour: Misbehaviour]>([
  ['invalid-iss', 'the ID token of another issuer (ID-01, FL-03)', { idToken: { iss: 'https://other.example.test' } }],
  ['missing-sub', 'an ID token about nobody (ID-11)', { idToken: { sub: undefined } }],
  ['invalid-aud', 'an ID token for another client (ID-02)', { idToken: { aud: 'somebody-else' } }],
  ['missing-aud', 'an ID token for no client (ID-02)', { idToken: { aud: undefined } }],
  ['missing-iat', 'an ID token from no time (ID-10)', { idToken: { iat: undefined } }],
  ['idtoken-sig-none', 'an unsigned ID token (ID-06)', { signature: 'none' }],
  ['invalid-sig-rs256', 'a broken signature (ID-05)', { signature: 'broken' }],
  [
    'invalid-sig-hs256',
    'a signature by the client secret (ID-06)',
    { signature: 'hs256-client-secret', metadata: offersHmac },
  ],
  [
    'invalid-sig-hs256',
    'a signature by the public key as a secret (ID-06)',
    { signature: 'hs256-public-key', metadata: offersHmac },
  ],
  ['invalid-sig-es256', 'an algorithm that the metadata does not name (ID-06)', { signature: 'es256' }],
  ['nonce-invalid', 'another login’s nonce (ID-12)', { idToken: { nonce: 'another' } }],
  ['nonce-invalid', 'an ID token without a nonce (ID-12)', { idToken: { nonce: undefined } }],
  [
    'kid-absent-multiple-jwks',
    'no key id and no key that fits (ID-09)',
    { idTokenHeader: { kid: undefined }, signature: 'unknown-key' },
  ],
])('oidcc-client-test-%s: with %s nobody is signed in', async (module, _claim, misbehaviour) => {
  await using party = await startRelyingParty({ does: () => ({ metadata: misbehaviour.metadata ?? {} }) });
  if (module === 'kid-absent-multiple-jwks') party.op.rotateKeys({ keep: true });
  expect(await expectRefusal(party, misbehaviour)).toEqual({ userinfo: 0 });
});

test('oidcc-client-test-userinfo-invalid-sub: with userinfo about somebody else nobody is signed in (ID-20)', async () => {
  await using party = await startRelyingParty();
  await expectRefusal(party, { userinfo: { sub: 'mallory', email: 'mallory@example.test' } });
});

test.each<[module: string, claim: string, misbehaviour: Misbehaviour]>([
  ['idtoken-sig-rs256', 'a good RS256 signature is accepted (ID-05)', {}],
  ['kid-absent-single-jwks', 'without a key id, the only key is used (ID-09)', { idTokenHeader: { kid: undefined } }],
  ['kid-absent-multiple-jwks', 'without a key id, each key is tried (ID-09)', { idTokenHeader: { kid: undefined } }],
])('oidcc-client-test-%s: %s', async (module, _claim, misbehaviour) => {
  await using party = await startRelyingParty();
  if (module === 'kid-absent-multiple-jwks') party.op.rotateKeys({ keep: true });
  await expectSignedIn(party, misbehaviour);
});

test('oidcc-client-test: a login, userinfo included, ends in the app with the user’s name and a token for the API', async () => {
  await using party = await startRelyingParty();
  expect(await expectSignedIn(party)).toMatchObject({ user: { sub: 'alice', email: 'alice@example.test' } });
  expect(party.op.endpoints.seen('token')).toHaveLength(1);
  expect(party.op.endpoints.seen('userinfo')).toHaveLength(1);
});

test('oidcc-client-test-scope-userinfo-claims: what the scopes stand for is read from userinfo and shown to the app', async () => {
  const claims = ['name', 'email', 'phone_number', 'address'];
  await using party = await startRelyingParty({ config: () => ({ session: { keys: [newSessionKey()], claims } }) });
  const { user } = await expectSignedIn(party, {
    userinfo: { phone_number: '+1 555 0100', address: { country: 'CH' } },
  });
  expect(user).toEqual({
    sub: 'alice',
    name: 'Alice',
    email: 'alice@example.test',
    phone_number: '+1 555 0100',
    address: { country: 'CH' },
  });
});

test('oidcc-client-test-client-secret-basic: id and secret travel form-encoded in HTTP Basic, and nowhere else (BFF-01, OA-12)', async () => {
  await using party = await startRelyingParty();
  const { op } = party;
  await expectSignedIn(party);
  const [request] = op.endpoints.seen('token');
  const [id, secret] = Buffer.from(request!.authorization!.replace('Basic ', ''), 'base64').toString().split(':');
  expect(decodeURIComponent(id!)).toBe(op.clientId);
  expect(decodeURIComponent(secret!.replaceAll('+', ' '))).toBe(op.clientSecret);
  expect(request!.parameters.has('client_secret')).toBe(false);
});

test('oidcc-client-test-userinfo-bearer-header: the access token reaches userinfo in the Authorization header alone (OA-19)', async () => {
  await using party = await startRelyingParty();
  await expectSignedIn(party);
  const [request] = party.op.endpoints.seen('userinfo');
  expect(request).toMatchObject({ clientAuth: 'bearer', query: '' });
  expect([...request!.parameters]).toEqual([]);
});

test('oidcc-client-test-userinfo-signed: claims of a userinfo that is signed are not believed unverified (ID-21)', async () => {
  await using party = await startRelyingParty();
  const { user } = await expectSignedIn(party, { signedUserinfo: true, userinfo: { email: 'forged@example.test' } });
  expect(user).toEqual({ sub: 'alice' });
});
