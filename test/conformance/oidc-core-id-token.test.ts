// OpenID Connect Core 3.1.3.7 and 3.1.3.8, RFC 8725: what an ID token must fulfil before anybody is signed in. See also oidf-basic-rp.test.ts.
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { Misbehaviour, MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { connectTo, logIn, tokensOf } from '../support/provider-under-test.ts';
import type { FinishLoginOutcome, Provider } from '../../src/oidc/provider.ts';

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

async function loginWith(
  misbehaviour: Misbehaviour,
  parameters: Record<string, string> = {},
): Promise<FinishLoginOutcome> {
  Object.assign(op.does, misbehaviour);
  return (await logIn(provider, op.authorize, parameters)).outcome;
}

const secondsFromNow = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;
const halfHash = (text: string): string =>
  createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url');

const week = 604_800;

test.each<[string, () => Misbehaviour]>([
  ['a second audience without azp (ID-03)', () => ({ idToken: { aud: ['postern', 'x'] } })],
  ['a second audience and another azp (ID-04)', () => ({ idToken: { aud: ['postern', 'x'], azp: 'x' } })],
  ['another azp (ID-04)', () => ({ idToken: { azp: 'somebody-else' } })],
  ['an audience of the wrong type (ID-02)', () => ({ idToken: { aud: { postern: true } } })],
  ['no expiry (ID-10)', () => ({ idToken: { exp: undefined } })],
  ['an expiry 400 s ago (OA-27)', () => ({ idToken: { exp: secondsFromNow(-400) } })],
  ['an expiry that is no number (ID-10)', () => ({ idToken: { exp: 'tomorrow' } })],
  ['an issue a week ago (FL-03)', () => ({ idToken: { iat: secondsFromNow(-week) } })],
  ['an issue in ten minutes (FL-16)', () => ({ idToken: { iat: secondsFromNow(600) } })],
  ['a start in ten minutes (FL-16)', () => ({ idToken: { nbf: secondsFromNow(600) } })],
  ['an empty subject (ID-11)', () => ({ idToken: { sub: '' } })],
  ['a subject of 256 characters (ID-11)', () => ({ idToken: { sub: 'x'.repeat(256) } })],
  ['a subject beyond ASCII (ID-11)', () => ({ idToken: { sub: 'älice' } })],
  ['a subject that is a number (ID-11)', () => ({ idToken: { sub: 7 } })],
  ['the hash of another access token (ID-13)', () => ({ idToken: { at_hash: halfHash('another') } })],
  ['a hash that is no hash (ID-13)', () => ({ idToken: { at_hash: 7 } })],
  ['the type of an access token (ID-23)', () => ({ idTokenHeader: { typ: 'at+jwt' } })],
  ['the type of a logout token (ID-23)', () => ({ idTokenHeader: { typ: 'logout+jwt' } })],
  ['a type that is no text (ID-23)', () => ({ idTokenHeader: { typ: 7 } })],
  ['a critical extension', () => ({ idTokenHeader: { crit: ['exp'], exp: 1 } })],
  ['a signature by a key that is not published (ID-05)', () => ({ signature: 'unknown-key' })],
])('an ID token with %s signs nobody in', async (_name, misbehaviour) => {
  expect((await loginWith(misbehaviour())).kind).toBe('invalid');
  expect(op.endpoints.seen('userinfo')).toEqual([]);
});

test.each([['not a jwt'], ['a.b'], ['a.b.c'], ['a.b.c.d.e'], [''], [7], [null], [undefined]])(
  'the ID token %j signs nobody in',
  async (idToken) => {
    expect((await loginWith({ tokenResponse: { id_token: idToken } })).kind).toBe('invalid');
    expect(op.endpoints.seen('userinfo')).toEqual([]);
  },
);

test.each<[string, () => Misbehaviour]>([
  ['one audience in an array (ID-02)', () => ({ idToken: { aud: ['postern'] } })],
  ['our azp', () => ({ idToken: { azp: 'postern' } })],
  ['two audiences and our azp', () => ({ idToken: { aud: ['postern', 'x'], azp: 'postern' } })],
  ['an expiry ten seconds ago, which clocks may differ by (OA-27)', () => ({ idToken: { exp: secondsFromNow(-10) } })],
  ['an issue in 30 s (FL-16)', () => ({ idToken: { iat: secondsFromNow(30) } })],
  [
    'a subject of 255 characters (ID-11)',
    () => ({ idToken: { sub: 'x'.repeat(255) }, userinfo: { sub: 'x'.repeat(255) } }),
  ],
  ['the type JWT', () => ({ idTokenHeader: { typ: 'JWT' } })],
  [
    'the hash of its access token (ID-13)',
    () => ({ tokenResponse: { access_token: 'at' }, idToken: { at_hash: halfHash('at') } }),
  ],
])('an ID token with %s is fine', async (_name, misbehaviour) => {
  tokensOf(await loginWith(misbehaviour()));
});

test('a login asked to be fresh is refused when the user logged in an hour ago (ID-14)', async () => {
  expect((await loginWith({ idToken: { auth_time: secondsFromNow(-3_600) } }, { max_age: '60' })).kind).toBe('invalid');
});

test('a login asked to be fresh is refused when the ID token does not say when it was (ID-14)', async () => {
  expect((await loginWith({}, { max_age: '60' })).kind).toBe('invalid');
});

test('a fresh login passes (ID-14)', async () => {
  tokensOf(await loginWith({ idToken: { auth_time: secondsFromNow(-5) } }, { max_age: '60' }));
});

test.each([[undefined], ['silver'], [['gold']]])(
  'asked for gold, a login of class %j is refused (ID-15)',
  async (acr) => {
    expect((await loginWith({ idToken: { acr } }, { acr_values: 'gold platinum' })).kind).toBe('invalid');
  },
);

test('a login of a class that was asked for passes (ID-15)', async () => {
  tokensOf(await loginWith({ idToken: { acr: 'platinum' } }, { acr_values: 'gold platinum' }));
});

test('userinfo adds claims and never replaces a signed one', async () => {
  const outcome = await loginWith({
    idToken: { email: 'signed@example.test', acr: '1' },
    userinfo: { acr: '9', iss: 'x' },
  });
  expect(tokensOf(outcome).claims).toMatchObject({
    iss: op.issuer,
    acr: '1',
    email: 'signed@example.test',
    name: 'Alice',
  });
});

test('a signed userinfo is not believed unverified (ID-21)', async () => {
  const metadata = { userinfo_signing_alg_values_supported: ['RS256'] };
  const forged = { signedUserinfo: true, userinfo: { email: 'forged@example.test' } };
  const tokens = tokensOf(await loginWith({ metadata, ...forged }));
  expect(tokens.claims).not.toHaveProperty('email');
});

test.each([['[]'], ['null'], ['<!doctype html>'], ['{}'], ['{"sub":7}']])(
  'userinfo that is %s costs claims, nothing else (FL-17)',
  async (text) => {
    tokensOf(await loginWith({ body: { userinfo: { text } } }));
  },
);
