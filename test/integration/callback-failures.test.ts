// Callbacks that sign nobody in: forged, repeated, refused by the provider, or in the middle of a fault. What was there before stays.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { logIn, openBrowser, sessionCookieOf, startLogin, whoAmI } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { startInstallation } from '../support/installation.ts';
import type { Installation } from '../support/installation.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import type { RealProvider } from '../support/real-provider.ts';
import type { RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';

let place: Installation;
let provider: RealProvider;
let redis: RedisServer;
let postern: LocalPostern;
beforeAll(async () => {
  place = await startInstallation();
  ({ provider, redis, postern } = place);
});
beforeEach(() => place.clear());
afterAll(() => place[Symbol.asyncDispose]());

const tokenCalls = (): number => provider.endpoints.seen('token').length;
const back = (browser: Browser, url: URL | string) => browser.step(url, { from: provider.issuer });

describe('a callback that this browser did not ask for', () => {
  test('from another browser ends in nothing, and the code stays unused (OA-03, CS-06, CSRF-09, FL-05)', async () => {
    const [attacker, victim] = [openBrowser(postern), openBrowser(postern)];
    await logIn(victim, provider);
    const before = victim.jar.get(sessionCookieOf(victim)!)!.value;
    const calls = tokenCalls();
    const callbackUrl = await provider.visit(await startLogin(attacker), { user: 'bob' });
    const answer = await back(victim, callbackUrl);
    expect(answer).toMatchObject({ status: 400, setCookies: [] });
    expect(tokenCalls()).toBe(calls);
    expect(victim.jar.get(sessionCookieOf(victim)!)!.value).toBe(before);
    expect(await whoAmI(victim)).toMatchObject({ user: { sub: 'alice' } });
  });

  test.each([
    '',
    '?code=abc',
    '?code=abc&state=',
    '?code=abc&state=guessed',
    '?state=%00',
    '?error=access_denied&state=x',
    '?%',
    '?code[]=1&state[]=2',
  ])('makes no token call and sets nothing: %s (OA-05)', async (query) => {
    const answer = await back(openBrowser(postern), `/bff/callback${query}`);
    expect(answer).toMatchObject({
      status: 400,
      setCookies: [],
      headers: { 'content-type': 'text/html; charset=utf-8' },
    });
    expect(tokenCalls()).toBe(0);
    expect(await place.keys()).toEqual([]);
  });

  test('gets a page that asks who is signed in, under a nonce, and repeats nothing of the request (FL-08, FL-11)', async () => {
    const query = `error=%3Cscript%3Ealert(1)%3C/script%3E&error_description=${'%E2%80%AE<b>'.repeat(500)}&state=x`;
    const { body, headers } = await back(openBrowser(postern), `/bff/callback?${query}`);
    const [, nonce] = /<script nonce="([^"]+)">/.exec(body)!;
    expect(headers['content-security-policy']).toContain(`script-src 'nonce-${nonce}'`);
    expect(body).toContain('fetch("/bff/session"');
    expect(body).toContain('href="/bff/login"');
    expect(body).not.toMatch(/alert|<b>/);
  });
});

test('a callback that was reloaded redeems nothing twice and sets nothing (OA-11, OA-05)', async () => {
  const browser = openBrowser(postern);
  const callbackUrl = await provider.visit(await startLogin(browser, '?returnTo=/cart'));
  provider.endpoints.behaviours.token.delayMs = 200;
  const [first, second] = await Promise.all([back(browser, callbackUrl), back(browser, callbackUrl)]);
  provider.endpoints.behaviours.token.recover();
  const answers = [first, second].sort((one, other) => one.setCookies.length - other.setCookies.length);
  expect(answers.map(({ status, headers }) => [status, headers['location']])).toEqual([
    [303, '/cart'],
    [303, '/cart'],
  ]);
  expect(answers[0]!.setCookies).toEqual([]);
  expect(tokenCalls()).toBe(1);
  // Later still: the transaction is gone, the page looks whether somebody is signed in.
  expect(await back(browser, callbackUrl)).toMatchObject({ status: 400, setCookies: [] });
  expect(tokenCalls()).toBe(1);
  expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
});

test.each(['code', 'state', 'iss', 'error', 'error_description'])(
  'a second %s in the callback is refused before the token call (FL-02)',
  async (name) => {
    const browser = openBrowser(postern);
    const callbackUrl = await provider.visit(await startLogin(browser));
    callbackUrl.searchParams.append(name, 'x');
    if (callbackUrl.searchParams.getAll(name).length < 2) callbackUrl.searchParams.append(name, 'y');
    expect(await back(browser, callbackUrl)).toMatchObject({ status: 400, setCookies: [] });
    expect(tokenCalls()).toBe(0);
  },
);

describe('a login that the provider refuses', () => {
  test('leaves the session as it was, deletes the transaction, and shows a page of ours (CK-07, ID-16, OA-21)', async () => {
    const browser = openBrowser(postern);
    await logIn(browser, provider);
    const answer = await logIn(browser, provider, { deny: true, query: '?prompt=consent' });
    expect(answer).toMatchObject({ status: 400, headers: { 'content-type': 'text/html; charset=utf-8' } });
    expect(answer.body).toContain('login_failed');
    expect(answer.body).not.toContain('No, thank you');
    expect(browser.jar.names().filter((name) => name.includes('-tx-'))).toEqual([]);
    expect(answer.setCookies.filter((line) => line.startsWith(`${sessionCookieOf(browser)}=`))).toEqual([]);
    expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
  });

  test('goes to the app’s error page with the code alone, where there is one (OA-21, RD-11)', async () => {
    const withPage = await startPostern(provider, { login: { errorUrl: '/login-failed?from=postern' } });
    try {
      const answer = await logIn(openBrowser(withPage), provider, { deny: true });
      expect(answer).toMatchObject({
        status: 303,
        headers: { location: '/login-failed?from=postern&error=access_denied' },
      });
    } finally {
      await withPage.stop();
    }
  });

  test('with words that are no code goes there with a code of ours (FL-11)', async () => {
    const rude = await startMisbehavingProvider();
    rude.does.authorizationResponse = {
      code: undefined,
      error: '<script>alert(1)</script>\u202e',
      error_description: 'x'.repeat(10_000),
    };
    const withPage = await startPostern(rude, { login: { errorUrl: '/login-failed' } });
    try {
      const browser = openBrowser(withPage);
      const answer = await back(browser, await rude.authorize(await startLogin(browser)));
      expect(answer).toMatchObject({ status: 303, headers: { location: '/login-failed?error=unknown_error' } });
    } finally {
      await withPage.stop();
      await rude.close();
    }
  });
});

test('an answer that fails a check is 400 login_failed and says no more (ERR-02)', async () => {
  const forger = await startMisbehavingProvider();
  forger.does.idToken = { nonce: 'another' };
  const checked = await startPostern(forger);
  try {
    const browser = openBrowser(checked);
    const answer = await back(browser, await forger.authorize(await startLogin(browser)));
    expect(answer.status).toBe(400);
    expect(answer.body).toContain('login_failed');
    expect(answer.body).not.toMatch(/nonce|unexpected|JWT/);
    expect(sessionCookieOf(browser)).toBeUndefined();
  } finally {
    await checked.stop();
    await forger.close();
  }
});

test('a provider that does not answer the token call is 503, and the next login works', async () => {
  const browser = openBrowser(postern);
  const callbackUrl = await provider.visit(await startLogin(browser));
  provider.endpoints.behaviours.token.fail('unavailable', 1);
  const answer = await back(browser, callbackUrl);
  expect(answer.status).toBe(503);
  expect(answer.body).toContain('provider_unavailable');
  expect(answer.body).toContain('href="/bff/login"');
  expect(sessionCookieOf(browser)).toBeUndefined();
  expect(await logIn(browser, provider)).toMatchObject({ status: 303 });
});

describe('a store that fails during the login', () => {
  /** Does `act` while the provider is working on the code. */
  async function duringTheTokenCall(browser: Browser, act: () => Promise<unknown>) {
    const callbackUrl = await provider.visit(await startLogin(browser));
    provider.endpoints.behaviours.token.delayMs = 300;
    const answer = back(browser, callbackUrl);
    await until(() => tokenCalls() > 0);
    await act();
    return answer.finally(() => provider.endpoints.behaviours.token.recover());
  }

  test('leaves no half a session: 503, no cookie, no record, the tokens handed back; the session before goes on (S-14, S-07)', async () => {
    const browser = openBrowser(postern);
    await logIn(browser, provider);
    const before = browser.jar.get(sessionCookieOf(browser)!)!.value;
    const records = (await place.keys()).filter((key) => key.startsWith('postern:{'));
    provider.endpoints.requests.length = 0;
    const answer = await duringTheTokenCall(browser, () => redis.command('CONFIG', 'SET', 'maxmemory', '1'));
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    expect(answer).toMatchObject({
      status: 503,
      headers: { 'content-type': 'text/html; charset=utf-8', 'retry-after': '2' },
    });
    expect(answer.body).toContain('session_store_unavailable');
    expect(answer.setCookies.filter((line) => line.startsWith(`${sessionCookieOf(browser)}=`))).toEqual([]);
    expect(browser.jar.get(sessionCookieOf(browser)!)!.value).toBe(before);
    expect((await place.keys()).filter((key) => key.startsWith('postern:{')).sort()).toEqual(records.sort());
    expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
    await until(() => provider.endpoints.seen('revocation').length === 1);
  });

  test('by being slow holds the redirect back: when it arrives, the session is there (S-07)', async () => {
    const browser = openBrowser(postern);
    const answer = await duringTheTokenCall(browser, () => redis.command('CLIENT', 'PAUSE', '400', 'WRITE'));
    expect(answer.status).toBe(303);
    expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
  });

  test('before the code was used keeps the transaction: the same callback works a moment later', async () => {
    const browser = openBrowser(postern);
    const callbackUrl = await provider.visit(await startLogin(browser));
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    expect(await back(browser, callbackUrl)).toMatchObject({ status: 503 });
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    expect(tokenCalls()).toBe(0);
    expect(await back(browser, callbackUrl)).toMatchObject({ status: 303 });
  });
});
