// Postern in a real browser as a developer first meets it: http on localhost, the provider on 127.0.0.1, which is another site.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { BrowserContext, Cookie, Page } from 'playwright-core';
import { call, giveCredentials, identify, isSignedIn, isSignedOut, logIn, logOut } from '../support/person.ts';
import { startShop } from '../support/shop.ts';
import type { Shop } from '../support/shop.ts';
import { until } from '../support/until.ts';

const tokenLifetimeSeconds = 2;

let shop: Shop;
let browser: BrowserContext;
let page: Page;

beforeAll(async () => {
  shop = await startShop({ accessTokenTtlSeconds: tokenLifetimeSeconds });
});
afterAll(() => shop.stop());
beforeEach(async () => {
  browser = await shop.newBrowser();
  page = await browser.newPage();
  await page.goto(shop.url);
});
afterEach(() => browser.close());

const sessionCookieName = () => `postern-${new URL(shop.url).port}`;
const cookiesHere = async (): Promise<Cookie[]> => browser.cookies(shop.url);
const sessionCookie = async () => (await cookiesHere()).find(({ name }) => name === sessionCookieName());
const transactionCookies = async () =>
  (await cookiesHere()).filter(({ name }) => name.startsWith(`${sessionCookieName()}-tx-`));
const bearer = () => shop.api.last.headers.authorization;
/** Waits until every token issued so far has expired. */
async function tokenExpired(): Promise<void> {
  const expiresAt = Date.now() + tokenLifetimeSeconds * 1000;
  await until(() => Date.now() > expiresAt);
}

test('a person logs in at the provider, ends up where the link said, and the app knows who it is (BFF-04, BFF-05, BFF-06)', async () => {
  await isSignedOut(page);
  await logIn(page);
  expect(page.url()).toBe(`${shop.url}/orders`);
  expect(await page.getByRole('status').textContent()).toBe('Signed in as Alice Example');
});

test('a click in the app calls the API, which gets a Bearer token and no cookie of ours (BFF-07)', async () => {
  await logIn(page);
  await page.getByRole('button', { name: 'Call the API' }).click();
  await page.getByText('200').waitFor();
  expect(bearer()).toMatch(/^Bearer \S{40,}$/);
  expect(shop.api.last.headers.cookie).toBeUndefined();
});

test('a call on an expired token just works, and the API sees a new token (BFF-08)', async () => {
  await logIn(page);
  await call(page, '/api/orders');
  const first = bearer();
  await tokenExpired();
  expect((await call(page, '/api/orders')).status).toBe(200);
  expect(bearer()).toMatch(/^Bearer /);
  expect(bearer()).not.toBe(first);
});

test('a logout ends the session here, at the API and at the provider, which asks for the password again (LOG-01, BFF-20)', async () => {
  await logIn(page);
  const cookies = await cookiesHere();
  await logOut(page);
  expect(await sessionCookie()).toBeUndefined();
  expect((await call(page, '/bff/session')).body).toEqual({ authenticated: false, loginUrl: '/bff/login' });
  expect(await call(page, '/api/orders')).toMatchObject({ status: 401, body: { code: 'session_required' } });
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByLabel('Password').waitFor();

  await browser.addCookies(cookies);
  await page.goto(shop.url);
  expect(await call(page, '/api/orders')).toMatchObject({ status: 401, body: { code: 'session_expired' } });
});

test('no byte that Postern sends to the browser holds a token, from the login over a refresh to the logout (BFF-03, TK-01)', async () => {
  await logIn(page);
  await call(page, '/api/orders');
  await tokenExpired();
  await call(page, '/api/orders');
  await call(page, '/bff/session');
  await call(page, '/bff/refresh', 'POST');
  await logOut(page);
  await until(() => shop.provider.endpoints.seen('revocation').length > 0);

  const heard = shop.heard();
  const accessTokens = shop.api.requests.map(({ headers }) => headers.authorization?.split(' ')[1]);
  const refreshTokens = shop.provider.endpoints.requests.map(
    ({ parameters }) => parameters.get('refresh_token') ?? parameters.get('token'),
  );
  const tokens = [...accessTokens, ...refreshTokens].filter((token) => typeof token === 'string');
  expect(new Set(tokens).size).toBeGreaterThanOrEqual(4);
  for (const token of tokens) expect(heard).not.toContain(token);

  // The ID token goes through the browser once, in the redirect to the provider's logout, where no script can read it.
  const linesWithJwt = heard.split('\r\n').filter((line) => /eyJ[\w-]+\.eyJ[\w-]+\./.test(line));
  expect(linesWithJwt.length).toBeGreaterThan(0);
  for (const line of linesWithJwt) expect(line).toMatch(/^location: http:\/\/127\.0\.0\.1:\d+\/session\/end\?/i);
});

test('scripts find nothing: no cookie in document.cookie, nothing in either storage, and the session id in no answer but Set-Cookie (CK-02)', async () => {
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByLabel('Password').waitFor();
  await identify(page);
  await isSignedIn(page);
  await call(page, '/api/orders');
  const found = await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]);
  expect(found).toEqual(['', 0, 0]);
  const { value } = (await sessionCookie())!;
  const lines = shop.heard().split('\r\n');
  const mentions = lines.filter((line) => line.includes(value) || line.includes(decodeURIComponent(value)));
  expect(mentions.map((line) => line.split(':', 1)[0]!.toLowerCase())).toEqual(['set-cookie']);
});

test('Chromium keeps the session cookie as HttpOnly, SameSite=Strict, for the whole host, until it is closed (CK-02, CK-03, CK-04, CK-05, CK-15)', async () => {
  await logIn(page);
  expect(await sessionCookie()).toMatchObject({
    httpOnly: true,
    secure: false,
    sameSite: 'Strict',
    path: '/',
    domain: 'localhost',
    expires: -1,
  });
});

test('a login leaves nothing behind but the session: its transaction cookie is Lax, short-lived and gone after the callback (CK-07)', async () => {
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByLabel('Password').waitFor();
  const [transaction] = await transactionCookies();
  expect(transaction).toMatchObject({ httpOnly: true, sameSite: 'Lax', path: '/', domain: 'localhost' });
  expect(transaction!.expires * 1000 - Date.now()).toBeLessThanOrEqual(600_000);
  await identify(page);
  await isSignedIn(page);
  expect(await transactionCookies()).toEqual([]);
});

test('the code is in no address, no history entry and no Referer that the app can see (FL-13)', async () => {
  await logIn(page);
  const seen = await page.evaluate(() => [
    location.href,
    document.referrer,
    ...performance.getEntries().map(({ name }) => name),
  ]);
  expect(seen.join(' ')).not.toMatch(/code=|state=/);
});

test('a person who says no at the provider gets a page that says so, and the next login works', async () => {
  await page.getByRole('link', { name: 'Log in' }).click();
  await giveCredentials(page);
  await page.getByRole('button', { name: 'Deny' }).click();
  await page.getByText('login_failed').waitFor();
  await page.getByRole('link', { name: 'Log in again' }).click();
  await page.getByRole('button', { name: 'Allow' }).click();
  await isSignedIn(page);
});

test('two Posterns on two ports of localhost do not disturb each other, though cookies know no ports (CK-06)', async () => {
  const neighbour = await startShop();
  try {
    await logIn(page, 'alice');
    const other = await browser.newPage();
    await other.goto(neighbour.url);
    await isSignedOut(other);
    await logIn(other, 'bob');
    expect((await call(page, '/bff/session')).body.user.sub).toBe('alice');
    expect((await call(other, '/bff/session')).body.user.sub).toBe('bob');
    await logOut(other);
    expect((await call(page, '/api/orders')).status).toBe(200);
    expect(shop.api.last.headers.cookie).toBeUndefined();
  } finally {
    await neighbour.stop();
  }
});
