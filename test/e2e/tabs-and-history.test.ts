// Several tabs, the back button, reloads and old addresses in a real browser: none of them may loop, lock anybody out or spend a code twice.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { call, giveCredentials, isSignedIn, isSignedOut, logIn, logOut } from '../support/person.ts';
import { startShop } from '../support/shop.ts';
import type { Shop } from '../support/shop.ts';

let shop: Shop;
let browser: BrowserContext;
let page: Page;

beforeAll(async () => {
  shop = await startShop();
});
afterAll(() => shop.stop());
beforeEach(async () => {
  browser = await shop.newBrowser();
  page = await browser.newPage();
  await page.goto(shop.url);
});
afterEach(() => browser.close());

const codesRedeemed = () => shop.provider.endpoints.seen('token', 'authorization_code').length;
/** Logs in once and throws the session away: the provider knows the person, Postern does not. */
async function forgetSession(): Promise<void> {
  await logIn(page);
  await browser.clearCookies({ domain: 'localhost' });
}

test('a login in one tab signs the other tab in, as its next call shows', async () => {
  const other = await browser.newPage();
  await other.goto(shop.url);
  expect((await call(other, '/api/orders')).status).toBe(401);
  await logIn(page);
  expect((await call(other, '/api/orders')).status).toBe(200);
  expect((await call(other, '/bff/session')).body.user.name).toBe('Alice Example');
});

test('a logout in one tab gives the other tab a 401 with a code and a way to log in, not a redirect', async () => {
  await logIn(page);
  const other = await browser.newPage();
  await other.goto(shop.url);
  await isSignedIn(other);
  await logOut(page);
  expect(await call(other, '/api/orders')).toMatchObject({
    status: 401,
    body: { code: 'session_required', loginUrl: '/bff/login' },
  });
});

test('three tabs that start a login at the same time all end signed in (FL-08)', async () => {
  await forgetSession();
  const tabs = [page, await browser.newPage(), await browser.newPage()];
  await Promise.all(tabs.map((tab) => tab.goto(`${shop.url}/bff/login?returnTo=/orders`)));
  for (const tab of tabs) {
    await isSignedIn(tab);
    expect(tab.url()).toBe(`${shop.url}/orders`);
    expect((await call(tab, '/api/orders')).status).toBe(200);
  }
});

test('of three started logins the last may be finished first: all of them end signed in (FL-08)', async () => {
  await forgetSession();
  const tabs = [page, await browser.newPage(), await browser.newPage()];
  for (const tab of tabs) await tab.goto(`${shop.url}/bff/login?returnTo=/orders&prompt=login`);
  for (const tab of tabs.toReversed()) {
    await giveCredentials(tab);
    await isSignedIn(tab);
    expect(tab.url()).toBe(`${shop.url}/orders`);
  }
  for (const tab of tabs) expect((await call(tab, '/api/orders')).status).toBe(200);
});

test('the back button after a login never starts another one: the app is there again, and signed in (FL-08)', async () => {
  await logIn(page);
  await call(page, '/api/orders');
  const before = codesRedeemed();
  while (!page.url().startsWith(shop.url) || page.url().endsWith('/orders')) await page.goBack();
  expect(page.url()).toBe(`${shop.url}/`);
  await isSignedIn(page);
  expect(codesRedeemed()).toBe(before);
});

test('with a session at the provider the login is a blink: the back button goes straight to the page before it (FL-08)', async () => {
  await logIn(page);
  await page.goto(`${shop.url}/basket`);
  await page.getByRole('link', { name: 'Log in' }).click();
  await isSignedIn(page);
  expect(page.url()).toBe(`${shop.url}/orders`);
  await page.goBack();
  expect(page.url()).toBe(`${shop.url}/basket`);
  await isSignedIn(page);
});

test('the back button after a logout brings the page back, but not the session', async () => {
  await logIn(page);
  await logOut(page);
  while (!page.url().endsWith('/orders')) await page.goBack();
  await isSignedOut(page);
  expect((await call(page, '/api/orders')).status).toBe(401);
});

test('the page that a login ended on can be reloaded: still signed in, no second login (BFF-06)', async () => {
  await logIn(page);
  const before = codesRedeemed();
  expect((await page.reload())!.status()).toBe(200);
  await isSignedIn(page);
  expect(page.url()).toBe(`${shop.url}/orders`);
  expect(codesRedeemed()).toBe(before);
});

test('a callback URL that is opened again goes on to the app, and its code is not redeemed again (OA-11, FL-13)', async () => {
  const callback = page.waitForRequest(/\/bff\/callback\?/);
  await logIn(page);
  const before = codesRedeemed();
  await page.goto((await callback).url());
  await isSignedIn(page);
  expect(page.url()).toBe(`${shop.url}/`);
  expect(codesRedeemed()).toBe(before);
});

test('an app that sends its users round in circles is stopped by a page after five logins, and keeps three transactions at most (FL-08, CK-10)', async () => {
  for (let login = 0; login < 5; login += 1) {
    await page.goto(`${shop.url}/bff/login`);
    await page.getByLabel('Password').waitFor();
  }
  const answer = await page.goto(`${shop.url}/bff/login`);
  expect(answer!.status()).toBe(429);
  await page.getByText('rate_limited').waitFor();
  const kept = (await browser.cookies(shop.url)).filter(({ name }) => name.includes('-tx-'));
  expect(kept.length).toBeLessThanOrEqual(3);
  await page.getByRole('link', { name: 'To the application' }).click();
  await isSignedOut(page);
});
