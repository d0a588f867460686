// The callback of a login that succeeds: where it ends, the cookie, the records, and that nothing of the tokens gets out.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { copyOf, logIn, openBrowser, sessionCookieOf, startLogin, whoAmI } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { startInstallation } from '../support/installation.ts';
import type { Installation } from '../support/installation.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import type { RealProvider } from '../support/real-provider.ts';
import type { RedisServer } from '../support/redis.ts';

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

const back = (browser: Browser, url: URL | string) => browser.step(url, { from: provider.issuer });

test('a finished login is a 303 into the app with nothing of it left in the address bar (BFF-06, FL-13)', async () => {
  const browser = openBrowser(postern);
  const answer = await logIn(browser, provider, { query: '?returnTo=/cart%3Fitem%3D1' });
  expect(answer).toMatchObject({
    status: 303,
    body: '',
    headers: {
      location: '/cart?item=1',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      vary: 'Cookie',
    },
  });
  expect(await whoAmI(browser)).toMatchObject({ authenticated: true, user: { sub: 'alice' } });
});

test('the session cookie is HttpOnly, Strict, for the whole path and for this host alone, and is set once (CK-02…05, CK-11, CK-15)', async () => {
  const browser = openBrowser(postern);
  const { setCookies } = await logIn(browser, provider);
  const name = sessionCookieOf(browser)!;
  const lines = setCookies.filter((line) => line.startsWith(`${name}=`));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/; Path=\/; HttpOnly; SameSite=Strict$/);
  expect(new Set(setCookies.map((line) => line.split('=', 1)[0])).size).toBe(setCookies.length);
  expect(browser.jar.names().filter((cookie) => cookie.includes('-tx-'))).toEqual([]);
});

test('under https the session cookie has its full name and is Secure, behind a plain hop too (CK-01, CK-06, S-08)', async () => {
  const secure = await startPostern(provider, { publicUrl: 'https://shop.example.com' });
  try {
    const browser = openBrowser(secure);
    const { setCookies } = await logIn(browser, provider);
    expect(setCookies.find((line) => line.startsWith('__Host-Http-postern='))).toMatch(
      /; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    );
    expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
  } finally {
    await secure.stop();
  }
});

test('both records exist, live as long as they may and not longer, and their names are no cookies (S-14, SES-15)', async () => {
  const browser = openBrowser(postern);
  await logIn(browser, provider);
  const sessionId = decodeURIComponent(browser.jar.get(sessionCookieOf(browser)!)!.value)
    .slice(2)
    .split('.')[0]!;
  expect(sessionId).toMatch(/^[A-Za-z0-9_-]{43}$/);
  const h = createHash('sha256').update(sessionId).digest('base64url');
  for (const key of [`postern:{${h}}:session`, `postern:{${h}}:tokens`]) {
    const ttlMs = Number(await redis.command('PTTL', key));
    expect(ttlMs).toBeGreaterThan(1_700_000);
    expect(ttlMs).toBeLessThanOrEqual(1_800_000);
  }
  expect((await place.keys()).join()).not.toContain(sessionId);
});

test('the session record says who, with what and since when, and holds no token (SES-21, TK-01)', async () => {
  await logIn(openBrowser(postern), provider);
  const key = (await place.keys()).find((name) => name.endsWith(':session'))!;
  const record = JSON.parse(String(await redis.command('GET', key))) as Record<string, unknown>;
  expect(record).toMatchObject({
    iss: provider.issuer,
    sub: 'alice',
    claims: { sub: 'alice', name: 'Alice Example' },
    clientId: provider.clientId,
    device: 'Mozilla/5.0 (a model of a browser)',
  });
  expect(Math.abs(Date.now() - Number(record['createdAt']))).toBeLessThan(100_000);
  expect(JSON.stringify(record)).not.toMatch(/eyJ|token/i);
});

test('nothing that a browser receives is a token, from login to logout (BFF-03, TK-01, RD-14)', async () => {
  const canary = await startMisbehavingProvider();
  Object.assign(canary.does, {
    tokenResponse: { access_token: 'TOKCANARY-access', refresh_token: 'TOKCANARY-refresh' },
  });
  const watched = await startPostern(canary);
  try {
    const browser = openBrowser(watched);
    await back(browser, await canary.authorize(await startLogin(browser)));
    await whoAmI(browser);
    await browser.fetch('/bff/refresh', { method: 'POST' });
    const { logoutUrl } = (await browser.fetch('/bff/logout', { method: 'POST' })).json();
    await browser.navigate(logoutUrl);
    expect(browser.received.length).toBeGreaterThan(8);
    expect(browser.received.join('\n')).not.toContain('TOKCANARY');
    expect(watched.log.join('\n')).not.toContain('TOKCANARY');
  } finally {
    await watched.stop();
    await canary.close();
  }
});

describe('the session id', () => {
  test('is new at every login; the one before is dead, also in the store (SES-02, S-01)', async () => {
    const browser = openBrowser(postern);
    await logIn(browser, provider);
    const name = sessionCookieOf(browser)!;
    const old = browser.jar.get(name)!.value;
    const thief = copyOf(browser, postern);
    const before = await place.keys();
    await logIn(browser, provider);
    expect(browser.jar.get(name)!.value).not.toBe(old);
    const kept = await place.keys();
    expect(kept.filter((key) => before.includes(key) && key.startsWith('postern:{'))).toEqual([]);
    expect(await whoAmI(thief)).toMatchObject({ authenticated: false });
    expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
  });

  test('that somebody planted before the login is never adopted (SES-03, S-02)', async () => {
    const [attacker, victim] = [openBrowser(postern), openBrowser(postern)];
    await logIn(attacker, provider, { user: 'bob' });
    const name = sessionCookieOf(attacker)!;
    const planted = attacker.jar.get(name)!.value;
    victim.jar.store(new URL(postern.publicUrl), `${name}=${planted}; Path=/`);
    await logIn(victim, provider, { user: 'alice' });
    expect(victim.jar.get(name)!.value).not.toBe(planted);
    expect(await whoAmI(victim)).toMatchObject({ user: { sub: 'alice' } });
    expect(await whoAmI(attacker)).toMatchObject({ authenticated: false });
  });

  test('is not the login transaction, nor the other way round (S-19)', async () => {
    const browser = openBrowser(postern);
    await startLogin(browser);
    const transaction = browser.jar.names().find((name) => name.includes('-tx-'))!;
    const name = transaction.replace(/-tx-.*/, '');
    browser.jar.store(new URL(postern.publicUrl), `${name}=${browser.jar.get(transaction)!.value}; Path=/`);
    expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
  });
});

test('where a login ends is decided at its start, not by the callback (RED-02)', async () => {
  const browser = openBrowser(postern);
  const callbackUrl = await provider.visit(await startLogin(browser, '?returnTo=/cart'));
  callbackUrl.searchParams.set('returnTo', 'https://evil.example');
  expect((await back(browser, callbackUrl)).headers['location']).toBe('/cart');
});

test('what a browser calls itself is kept short and printable', async () => {
  const browser = openBrowser(postern);
  const callbackUrl = await provider.visit(await startLogin(browser));
  await browser.step(callbackUrl, {
    from: provider.issuer,
    headers: { 'user-agent': `\u00e9\u0009${'x'.repeat(2000)}` },
  });
  const key = (await place.keys()).find((name) => name.endsWith(':session'))!;
  const { device } = JSON.parse(String(await redis.command('GET', key))) as { device: string };
  expect(device).toBe('x'.repeat(256));
});

test('neither code nor state of a login gets into the log (LOGS-01)', async () => {
  const { callbackUrl } = await logIn(openBrowser(postern), provider);
  for (const name of ['code', 'state'])
    expect(postern.log.join('\n')).not.toContain(callbackUrl.searchParams.get(name)!);
});
