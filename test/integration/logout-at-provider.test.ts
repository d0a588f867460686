// The second half of a logout, at the provider: the ticket that leads there, what the provider is told, and the way back (RP-Initiated Logout 1.0).
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { logIn, openBrowser, signedInBrowser, whoAmI } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { startInstallation } from '../support/installation.ts';
import type { Installation } from '../support/installation.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import type { RedisServer } from '../support/redis.ts';

let place: Installation;
let provider: RealProvider;
let redis: RedisServer;
let postern: LocalPostern;
beforeAll(async () => {
  place = await startInstallation({ logout: { returnTo: '/signed-out' } });
  ({ provider, redis, postern } = place);
});
beforeEach(() => place.clear());
afterAll(() => place[Symbol.asyncDispose]());

const signedIn = (): Promise<Browser> => signedInBrowser(postern, provider);
const logOut = (browser: Browser) => browser.fetch('/bff/logout', { method: 'POST' });

test('the provider is told who logs out, where to come back to, and nothing reaches a script (LOG-02, LOG-03)', async () => {
  const browser = await signedIn();
  const { logoutUrl } = (await logOut(browser)).json();
  expect(logoutUrl).toMatch(/^\/bff\/logout\/continue\?ticket=[A-Za-z0-9_-]{43}$/);
  const answer = await browser.step(logoutUrl, { from: postern.publicUrl });
  expect([answer.status, answer.body]).toEqual([302, '']);
  const endSession = new URL(String(answer.headers['location']));
  expect(endSession.origin).toBe(provider.issuer);
  expect(Object.fromEntries(endSession.searchParams)).toEqual({
    id_token_hint: expect.stringMatching(/^eyJ/),
    client_id: provider.clientId,
    post_logout_redirect_uri: `${postern.publicUrl}/bff/logout/callback`,
    state: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
  });
  const home = await provider.visit(endSession);
  expect(home.href).toMatch(`${postern.publicUrl}/bff/logout/callback`);
  expect(await browser.step(home, { from: provider.issuer })).toMatchObject({
    status: 303,
    headers: { location: '/signed-out' },
  });
});

describe('the ticket', () => {
  test('a logout ticket works once', async () => {
    const browser = await signedIn();
    const { logoutUrl } = (await logOut(browser)).json();
    await browser.step(logoutUrl);
    expect(await browser.step(logoutUrl)).toMatchObject({ status: 303, headers: { location: '/signed-out' } });
  });

  test('a logout ticket lives a minute, and what the store holds of it opens nothing', async () => {
    const { logoutUrl } = (await logOut(await signedIn())).json();
    const [key, ...others] = (await redis.command('KEYS', 'postern:logout:*')) as string[];
    expect(others).toEqual([]);
    expect(Number(await redis.command('PTTL', key!))).toBeLessThanOrEqual(60_000);
    const stored = key! + String(await redis.command('GET', key!));
    expect(stored).not.toContain(new URL(logoutUrl, postern.publicUrl).searchParams.get('ticket'));
    expect(stored).not.toContain('eyJ');
  });

  test('a logout ticket is not spent by a prefetch, a script or a frame', async () => {
    const browser = await signedIn();
    const { logoutUrl } = (await logOut(browser)).json();
    const attempts = [
      await browser.fetch(logoutUrl),
      await browser.embed(logoutUrl, 'iframe', postern.publicUrl),
      await browser.step(logoutUrl, { headers: { 'sec-purpose': 'prefetch' } }),
      await browser.step(logoutUrl, { method: 'HEAD' }),
    ];
    expect(attempts.map(({ status }) => status)).toEqual([403, 403, 403, 405]);
    expect((await browser.navigate(logoutUrl)).leadsTo?.origin).toBe(provider.issuer);
  });

  test.each([
    '',
    '?ticket=',
    '?ticket=guessed',
    '?ticket=a&ticket=b',
    '?ticket[]=x',
    '?%',
    `?ticket=${'x'.repeat(5000)}`,
    '?returnTo=https://evil.example',
  ])('that nobody gave out leads to the signed-out page: %s (RD-11)', async (query) => {
    const answer = await openBrowser(postern).step(`/bff/logout/continue${query}`);
    expect(answer).toMatchObject({ status: 303, headers: { location: '/signed-out' }, setCookies: [] });
  });
});

test.each([
  '',
  '?state=another',
  '?state=a&state=b',
  '?state=%00',
  '?returnTo=https://evil.example&post_logout_redirect_uri=//evil.example',
])('coming back with any state at all ends on the signed-out page (LOG-04): %s', async (query) => {
  const answer = await openBrowser(postern).step(`/bff/logout/callback${query}`, { from: provider.issuer });
  expect(answer).toMatchObject({ status: 303, body: '', headers: { location: '/signed-out' }, setCookies: [] });
});

test('the provider may be told client_id alone', async () => {
  const discreet = await startPostern(provider, { logout: { idTokenHint: false } });
  try {
    const browser = openBrowser(discreet);
    await logIn(browser, provider);
    const { leadsTo } = await browser.navigate((await logOut(browser)).json().logoutUrl);
    expect(leadsTo?.searchParams.has('id_token_hint')).toBe(false);
    expect(leadsTo?.searchParams.get('client_id')).toBe(provider.clientId);
  } finally {
    await discreet.stop();
  }
});

describe('a provider of another kind', () => {
  test('with a long ID token gets it by a form of ours that sends itself (LOG-05)', async () => {
    const verbose = await startMisbehavingProvider();
    Object.assign(verbose.does, {
      idToken: { groups: Array.from({ length: 500 }, (_, index) => `group-${index}`) },
      metadata: { end_session_endpoint: `${verbose.issuer}/logout` },
    });
    const at = await startPostern(verbose);
    try {
      const browser = openBrowser(at);
      await logIn(browser, { issuer: verbose.issuer, visit: (url) => verbose.authorize(url) });
      const page = await browser.step((await logOut(browser)).json().logoutUrl);
      expect(page).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
      expect(page.body).toContain(`<form action="${verbose.issuer}/logout" method="post">`);
      expect(page.body).toMatch(/name="id_token_hint" value="eyJ[^"]{6000,}"/);
      expect(page.headers['content-security-policy']).toContain(`form-action 'self' ${verbose.issuer}`);
      const [, nonce] = /<script nonce="([^"]+)">/.exec(page.body)!;
      expect(page.headers['content-security-policy']).toContain(`'nonce-${nonce}'`);
    } finally {
      await at.stop();
      await verbose.close();
    }
  });

  test('without a logout of its own: local logout only, no error (LOG-06)', async () => {
    const simple = await startMisbehavingProvider();
    simple.does.metadata = { end_session_endpoint: undefined };
    const at = await startPostern(simple);
    try {
      const browser = openBrowser(at);
      await logIn(browser, { issuer: simple.issuer, visit: (url) => simple.authorize(url) });
      const answer = await browser.step((await logOut(browser)).json().logoutUrl);
      expect(answer).toMatchObject({ status: 303, headers: { location: '/' } });
      expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
    } finally {
      await at.stop();
      await simple.close();
    }
  });

  test('that is down keeps nobody logged in here (LOG-01)', async () => {
    const mortal = await startRealProvider();
    const at = await startPostern(mortal);
    try {
      const browser = openBrowser(at);
      await logIn(browser, mortal);
      await mortal.goAway();
      expect((await logOut(browser)).status).toBe(200);
      expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
      await mortal.comeBack();
    } finally {
      await at.stop();
      await mortal.close();
    }
  });
});

test('a ticket that cannot be stored costs the provider’s logout, not ours', async () => {
  const browser = await signedIn();
  await redis.command('CONFIG', 'SET', 'maxmemory', '1');
  const answer = await logOut(browser);
  await redis.command('CONFIG', 'SET', 'maxmemory', '0');
  expect(answer.status).toBe(200);
  expect(answer.json()).toEqual({ logoutUrl: '/bff/logout/continue' });
  expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
});
