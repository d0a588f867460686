// Postern in a real browser as it is deployed: https, and the provider on another site. Here the cookie has its full name, and SameSite=Strict bites.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { call, identify, isSignedIn, logIn, logOut, stopBeforeCallback } from '../support/person.ts';
import { startSecureShop } from '../support/secure-shop.ts';
import type { SecureShop } from '../support/secure-shop.ts';

const cookieName = '__Host-Http-postern';

let shop: SecureShop;
/** A browser that has never been here. */
let browser: BrowserContext;
/** The app in it. */
let page: Page;

beforeAll(async () => {
  shop = await startSecureShop();
});
afterAll(() => shop.stop());
beforeEach(async () => {
  browser = await shop.newBrowser();
  page = await browser.newPage();
  await page.goto(shop.url);
});
afterEach(() => browser.close());

async function openEvil(hostName: string): Promise<Page> {
  const evil = await browser.newPage();
  await evil.goto(shop.urlOf(hostName));
  return evil;
}
const cookiesHere = () => browser.cookies(shop.url);
const sessionCookie = async () => (await cookiesHere()).find(({ name }) => name === cookieName);

test('Chromium takes the cookie under its full name: Secure, HttpOnly, SameSite=Strict, Path=/, for this host alone, until it is closed (CK-01 to CK-06, S-08)', async () => {
  await logIn(page);
  expect(await sessionCookie()).toMatchObject({
    secure: true,
    httpOnly: true,
    sameSite: 'Strict',
    path: '/',
    domain: 'app.shop.test',
    expires: -1,
  });
});

test('the transaction cookie is Secure, HttpOnly and Lax, carries the prefix too, and is gone after the callback (CK-07)', async () => {
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByLabel('Password').waitFor();
  const transactions = async () => (await cookiesHere()).filter(({ name }) => name.startsWith(`${cookieName}-tx-`));
  expect(await transactions()).toMatchObject([{ secure: true, httpOnly: true, sameSite: 'Lax', path: '/' }]);
  await identify(page);
  await isSignedIn(page);
  expect(await transactions()).toEqual([]);
});

test('after the logout the jar is empty: deleting a cookie with a prefix takes the same attributes as setting it (CK-14, S-09)', async () => {
  await logIn(page);
  await logOut(page);
  const left = (await cookiesHere()).map(({ name }) => name).filter((name) => name !== `${cookieName}-logins`);
  expect(left).toEqual([]);
});

test('the cookie stays as it is, whatever a script in the app itself or on a sibling site writes over it (CK-06, CK-12)', async () => {
  await logIn(page);
  const before = await sessionCookie();
  await page.evaluate((name) => {
    document.cookie = `${name}=evil; Secure; Path=/`;
    document.cookie = `${name}=; Secure; Path=/; Max-Age=0`;
  }, cookieName);
  await tossFromSibling([
    `${cookieName}=evil; Secure; Path=/; Domain=shop.test`,
    `${cookieName}=evil; Secure; Path=/api; Domain=shop.test`,
    `=${cookieName}=evil; Secure; Path=/; Domain=shop.test`,
  ]);
  expect((await cookiesHere()).filter(({ value }) => value.includes('evil'))).toEqual([]);
  expect(await sessionCookie()).toEqual(before);
  expect((await call(page, '/bff/session')).body.user.sub).toBe('alice');
});

test('cookies that a sibling site can really toss, with other letters or without the prefix, change nothing (CK-12)', async () => {
  await logIn(page);
  await tossFromSibling([
    'postern=evil; Secure; Path=/; Domain=shop.test',
    'postern-tx-AAAAAAAAAAAA=evil; Secure; Path=/; Domain=shop.test',
    `${cookieName.toLowerCase()}=evil; Secure; Path=/; Domain=shop.test`,
    `${cookieName}x=evil; Secure; Path=/; Domain=shop.test`,
  ]);
  expect((await cookiesHere()).some(({ name, value }) => name === 'postern' && value === 'evil')).toBe(true);
  expect((await call(page, '/bff/session')).body.user.sub).toBe('alice');
  expect((await call(page, '/api/orders')).status).toBe(200);
  expect(shop.api.last.headers.cookie).toBeUndefined();
  await logOut(page);
  await page.getByRole('link', { name: 'Log in' }).click();
  await identify(page);
  await isSignedIn(page);
});

test('a link on another site leads to the app, whose own calls find the person signed in (CK-03)', async () => {
  await logIn(page);
  const evil = await openEvil('evil.test');
  const navigation = evil.waitForRequest(`${shop.url}/`);
  await followLink(evil, `${shop.url}/`);
  expect((await (await navigation).allHeaders())['cookie'] ?? '').not.toContain(`${cookieName}=`);
  await isSignedIn(evil);
});

test('a link on another site to an API goes there without the cookie: SameSite=Strict (CK-03)', async () => {
  await logIn(page);
  const evil = await openEvil('evil.test');
  const answer = evil.waitForResponse(`${shop.url}/api/orders`);
  await followLink(evil, `${shop.url}/api/orders`);
  const headers = await (await answer).request().allHeaders();
  expect(headers['sec-fetch-site']).toBe('cross-site');
  expect(headers['cookie'] ?? '').not.toContain(`${cookieName}=`);
  expect(await (await answer).json()).toMatchObject({ status: 401, code: 'session_required' });
});

test.each(['evil.shop.test', 'evil.test'])(
  'a login link on %s shows a page that asks first, and going on works (CSRF-09)',
  async (host) => {
    const evil = await openEvil(host);
    await followLink(evil, `${shop.url}/bff/login?returnTo=/basket`);
    await evil.getByText('Another site has sent you here').waitFor();
    expect((await cookiesHere()).map(({ name }) => name)).toEqual([]);
    await evil.getByRole('link', { name: 'Log in' }).click();
    await identify(evil);
    await isSignedIn(evil);
    expect(evil.url()).toBe(`${shop.url}/basket`);
  },
);

test.each(['evil.shop.test', 'evil.test'])('a page on %s cannot show the app in a frame (CS-14)', async (host) => {
  await logIn(page);
  const evil = await openEvil(host);
  const framed = evil.waitForEvent('framenavigated', (frame) => frame.parentFrame() !== null);
  await evil.evaluate((url) => {
    document.body.append(Object.assign(document.createElement('iframe'), { src: url }));
  }, shop.url);
  expect((await framed).url()).toBe('chrome-error://chromewebdata/');
});

test('a callback URL of one browser signs nobody in when another opens it, and does not spend the code (CSRF-09, CS-06, FL-05)', async () => {
  const attacker = await shop.newBrowser();
  const attackerPage = await attacker.newPage();
  await attackerPage.goto(`${shop.url}/bff/login?returnTo=/basket`);
  await attackerPage.getByLabel('Password').waitFor();
  const callbackUrl = await stopBeforeCallback(attackerPage, () => identify(attackerPage, 'bob'));
  const redeemed = shop.provider.endpoints.seen('token').length;

  await page.goto(callbackUrl);
  await page.getByText('login_failed').waitFor();
  expect(await sessionCookie()).toBeUndefined();
  await page.goto(shop.url);
  await logIn(page);
  await page.goto(callbackUrl);
  await isSignedIn(page);
  expect((await call(page, '/bff/session')).body.user.sub).toBe('alice');
  expect(shop.provider.endpoints.seen('token', 'authorization_code')).toHaveLength(redeemed + 1);

  await attackerPage.goto(callbackUrl);
  await isSignedIn(attackerPage);
  expect((await call(attackerPage, '/bff/session')).body.user.sub).toBe('bob');
  await attacker.close();
});

async function tossFromSibling(cookies: string[]): Promise<void> {
  const sibling = await openEvil('evil.shop.test');
  await sibling.evaluate((lines) => lines.forEach((line) => (document.cookie = line)), cookies);
}

async function followLink(from: Page, url: string): Promise<void> {
  await from.setContent(`<a href="${url}">Click me</a>`);
  await from.getByRole('link').click();
}
