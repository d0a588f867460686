// OpenID Connect Core 12.2: what a refreshed ID token must say, and what becomes of the session's identity. See also oidf-refresh-token.test.ts.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { connectTo, logIn, tokensOf } from '../support/provider-under-test.ts';
import type { Provider, RefreshOutcome } from '../../src/oidc/provider.ts';
import type { TokenSet } from '../../src/oidc/token-set.ts';

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

const signIn = async (): Promise<TokenSet> => tokensOf((await logIn(provider, op.authorize)).outcome);
const refresh = (tokens: TokenSet): Promise<RefreshOutcome> => provider.refresh(tokens, AbortSignal.timeout(20_000));

function refreshedTokens(outcome: RefreshOutcome): TokenSet {
  if (outcome.kind === 'refreshed') return outcome.tokens;
  throw new Error(`Not refreshed: ${JSON.stringify(outcome)}`);
}

test('new tokens replace the old (OA-17)', async () => {
  const before = await signIn();
  const outcome = await refresh(before);
  const after = refreshedTokens(outcome);
  expect(after.accessToken).not.toBe(before.accessToken);
  expect(after.refreshToken).not.toBe(before.refreshToken);
  expect(after.idToken).not.toBe(before.idToken);
  expect(outcome).toMatchObject({ unverifiedIdToken: undefined });
});

test.each([
  ['another issuer', { iss: 'https://other.example.test' }],
  ['another subject', { sub: 'mallory' }],
  ['another audience', { aud: 'somebody-else' }],
  ['an audience more, without azp', { aud: ['postern', 'somebody-else'] }],
  ['another authorized party', { azp: 'somebody-else' }],
  ['the nonce of another login', { nonce: 'another' }],
  ['an expiry in the past', { exp: 1_000_000_000 }],
  ['no time of issue', { iat: undefined }],
])(
  'a refreshed ID token with %s ends the session and its tokens are dropped (ID-18)',
  async (_name, refreshedIdToken) => {
    const tokens = await signIn();
    op.does.refreshedIdToken = refreshedIdToken;
    expect(await refresh(tokens)).toEqual({ kind: 'ended', error: 'id_token_invalid' });
  },
);

test.each([
  ['issuer', { iss: 'https://before.example.test' }],
  ['audience', { aud: ['postern', 'before'] }],
])('a session that began under another %s does not go on under this one (ID-18)', async (_name, before) => {
  const tokens = await signIn();
  const outcome = await refresh({ ...tokens, claims: { ...tokens.claims, ...before } });
  expect(outcome).toEqual({ kind: 'ended', error: 'id_token_invalid' });
});

test.each([['not.a.jwt'], ['x'], ['']])('an ID token %j at a refresh gives nobody new tokens', async (idToken) => {
  const tokens = await signIn();
  op.does.refreshResponse = { id_token: idToken };
  expect((await refresh(tokens)).kind).not.toBe('refreshed');
});

test('a refreshed ID token without a nonce is fine (Core 12.2)', async () => {
  const tokens = await signIn();
  op.does.refreshedIdToken = { nonce: undefined };
  expect((await refresh(tokens)).kind).toBe('refreshed');
});

test('a provider whose clock has gone wrong since the login logs nobody out by it (FL-16)', async () => {
  const tokens = await signIn();
  op.does.refreshedIdToken = { iat: Math.floor(Date.now() / 1000) - 900 };
  expect((await refresh(tokens)).kind).toBe('refreshed');
});

test('without a new ID token the old one stays, for the logout hint (ID-19)', async () => {
  const before = await signIn();
  op.does.refreshedIdToken = null;
  const outcome = await refresh(before);
  expect(refreshedTokens(outcome)).toMatchObject({ idToken: before.idToken, claims: before.claims });
});

test('a refresh needs no keys: a rotated token is not lost because they are out of reach, and the old identity is kept', async () => {
  const before = await signIn();
  const elsewhere = connectTo(op);
  op.endpoints.behaviours.jwks.fail('unavailable');
  const outcome = await elsewhere.refresh(before, AbortSignal.timeout(20_000));
  const after = refreshedTokens(outcome);
  expect(after.accessToken).not.toBe(before.accessToken);
  expect(after).toMatchObject({ idToken: before.idToken, claims: before.claims });
  const { unverifiedIdToken } = outcome as { unverifiedIdToken: string };
  expect(await elsewhere.verifyIdToken(unverifiedIdToken)).toMatchObject({ kind: 'unavailable' });
  expect(await provider.verifyIdToken(unverifiedIdToken)).toEqual({ kind: 'valid' });
  await elsewhere.close();
});

test('a refreshed ID token with a broken signature is not used, and is invalid when it is verified afterwards (ID-18)', async () => {
  const before = await signIn();
  op.does.signature = 'broken';
  const outcome = await refresh(before);
  expect(refreshedTokens(outcome)).toMatchObject({ idToken: before.idToken, claims: before.claims });
  const { unverifiedIdToken } = outcome as { unverifiedIdToken: string };
  expect(await provider.verifyIdToken(unverifiedIdToken)).toMatchObject({ kind: 'invalid' });
});

test('claims that changed at the provider change here, and those withdrawn are gone (FL-15)', async () => {
  op.does.idToken = { groups: ['admin'], department: 'sales' };
  const before = await signIn();
  expect(before.claims).toMatchObject({ groups: ['admin'], department: 'sales', email: 'alice@example.test' });
  op.does.refreshedIdToken = { department: 'support' };
  const after = refreshedTokens(await refresh(before));
  expect(after.claims).toMatchObject({ department: 'support', email: 'alice@example.test' });
  expect(after.claims).not.toHaveProperty('groups');
});

test('callbacks that a stranger makes fail at the token endpoint stop no refresh of those who are signed in', async () => {
  const before = await signIn();
  op.endpoints.behaviours.token.fail('unavailable', 6);
  for (let attempt = 0; attempt < 6; attempt += 1) await logIn(provider, op.authorize);
  op.endpoints.behaviours.token.recover();
  expect((await refresh(before)).kind).toBe('refreshed');
});
