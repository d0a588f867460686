// RFC 9700 sections 2.1, 4.4, 4.7 and 4.12, RFC 9207: whose answer finishes a login, and how the browser is sent about, through the whole app.
// What the provider port does with each single answer is in oauth2-rfc6749-rfc9700.test.ts and oauth2-token-endpoint.test.ts.
import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { BrowserAnswer } from '../support/browser.ts';
import { startLogin, whoAmI } from '../support/browser-login.ts';
import { expectRefusal, startRelyingParty } from '../support/relying-party.ts';

describe('a provider whose metadata does not mention PKCE (OA-04)', () => {
  const does = () => ({ metadata: { code_challenge_methods_supported: undefined } });

  test('gets a challenge all the same, and its login works', async () => {
    await using party = await startRelyingParty({ does });
    const browser = party.openBrowser();
    const url = await startLogin(browser);
    expect(url.searchParams.get('code_challenge_method')).toBe('S256');
    expect(await browser.step(await party.op.authorize(url), { from: party.op.issuer })).toMatchObject({ status: 303 });
    const verifier = party.op.endpoints.seen('token')[0]!.parameters.get('code_verifier')!;
    expect(url.searchParams.get('code_challenge')).toBe(createHash('sha256').update(verifier).digest('base64url'));
    expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
  });

  test('is not relied on for it: state and nonce decide, whatever the code', async () => {
    await using party = await startRelyingParty({ does });
    const [attacker, victim] = [party.openBrowser(), await party.signedInBrowser()];
    const cookie = party.sessionCookieOf(victim);
    const url = await startLogin(attacker);
    expect(url.searchParams.get('state')).toMatch(/^[\w-]{43}$/);
    const callback = await party.op.authorize(url);
    for (const state of [callback.searchParams.get('state')!, '', 'guessed']) {
      callback.searchParams.set('state', state);
      expect(await victim.step(callback, { from: party.op.issuer })).toMatchObject({ status: 400, setCookies: [] });
    }
    expect(party.op.endpoints.seen('token')).toHaveLength(1);
    expect(party.sessionCookieOf(victim)).toBe(cookie);
    expect(await expectRefusal(party, { idToken: { nonce: 'another' } })).toEqual({ userinfo: 0 });
  });
});

describe('an answer of another provider is refused before any token endpoint is called (OA-06, FL-04)', () => {
  test.each([
    ['that names the other one', (theirs: string) => ({ iss: theirs })],
    ['that names both', (theirs: string, ours: string) => ({ iss: [ours, theirs] })],
    ['that names none, where ours promises to', () => ({ iss: undefined })],
    ['that is an error', (theirs: string) => ({ iss: theirs, code: undefined, error: 'access_denied' })],
  ])('one %s', async (_, answerOf) => {
    await using honest = await startRelyingParty();
    await using evil = await startRelyingParty();
    const browser = await honest.signedInBrowser();
    const cookie = honest.sessionCookieOf(browser);
    const url = await startLogin(browser);
    // The attacker's provider gets the browser in place of ours, and sends it back with a code and our state.
    evil.op.does.authorizationResponse = answerOf(evil.op.issuer, honest.op.issuer);
    const mixedUp = new URL(url.href.replace(honest.op.issuer, evil.op.issuer));
    const answer = await browser.step(await evil.op.authorize(mixedUp), { from: evil.op.issuer });
    expect([303, 400]).toContain(answer.status);
    if (answer.status === 303) expect(answer.headers['location']).toBe('/login-failed?error=login_failed');
    expect(answer.setCookies.join()).not.toMatch(/postern-\d+=/);
    expect(honest.op.endpoints.seen('token')).toHaveLength(1);
    expect(evil.op.endpoints.seen('token')).toEqual([]);
    expect(honest.sessionCookieOf(browser)).toBe(cookie);
    expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
  });
});

test('the browser is sent on with 302 and 303 alone: no 307 or 308 repeats a form with what it held (OA-26)', async () => {
  await using party = await startRelyingParty();
  const { op } = party;
  const browser = party.openBrowser();
  const redirects: BrowserAnswer[] = [];
  const follow = (answer: BrowserAnswer): URL => {
    redirects.push(answer);
    return new URL(String(answer.headers['location']), party.postern.publicUrl);
  };
  const provider = follow(await browser.step('/bff/login'));
  follow(await browser.step(await op.authorize(provider), { from: op.issuer }));
  op.does.signature = 'broken';
  const again = follow(await browser.step('/bff/login'));
  follow(await browser.step(await op.authorize(again), { from: op.issuer }));
  const form = { method: 'POST', from: party.postern.publicUrl, body: 'a=b' };
  const next = follow(await browser.step('/bff/logout', form));
  const endSession = follow(await browser.step(next, { from: party.postern.publicUrl }));
  expect(endSession.href).toContain(`${op.issuer}/logout?`);
  follow(await browser.step('/bff/logout/callback?state=x', { from: op.issuer }));
  follow(await browser.step('/bff/logout/continue'));
  expect(redirects.map(({ status }) => status)).toEqual([302, 303, 302, 303, 303, 302, 303, 303]);
});
