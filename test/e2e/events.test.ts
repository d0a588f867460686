// An EventSource in a real browser: what it hears of logouts in other tabs, and how it comes back by itself after a new login.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { giveCredentials, isSignedIn, logIn, logOut } from '../support/person.ts';
import { startShop } from '../support/shop.ts';
import type { Shop } from '../support/shop.ts';
import { until } from '../support/until.ts';

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

/** Opens an EventSource in the tab; what it hears is kept in the page. */
async function listenIn(tab: Page): Promise<void> {
  await tab.evaluate(() => {
    const heard: string[] = [];
    const source = new EventSource('/bff/events');
    for (const name of ['open', 'expiring', 'refreshed', 'replaced', 'ended']) {
      source.addEventListener(name, (event) => heard.push(`${name} ${'data' in event ? event.data : ''}`.trim()));
    }
    source.addEventListener('error', () => heard.push(source.readyState === EventSource.CLOSED ? 'refused' : 'lost'));
    Object.assign(globalThis, { heard });
  });
}

const heardIn = (tab: Page): Promise<string[]> =>
  tab.evaluate(() => (globalThis as unknown as { heard: string[] }).heard);
const hears = (tab: Page, count: number) => until(async () => (await heardIn(tab)).length >= count);

test('a logout in one tab is heard in the other, which comes back once, is refused, and stops', async () => {
  await logIn(page);
  const other = await browser.newPage();
  await other.goto(shop.url);
  await listenIn(other);
  await hears(other, 1);
  await logOut(page);
  await hears(other, 4);
  expect(await heardIn(other)).toEqual(['open', 'ended {"reason":"logout"}', 'lost', 'refused']);
});

test('a new login in one tab leaves the other one listening: the browser comes back with its new cookie', async () => {
  await logIn(page);
  const other = await browser.newPage();
  await other.goto(shop.url);
  await listenIn(other);
  await hears(other, 1);
  await page.goto(`${shop.url}/bff/login?prompt=login`);
  await giveCredentials(page);
  await isSignedIn(page);
  await hears(other, 4);
  expect(await heardIn(other)).toEqual(['open', 'replaced {}', 'lost', 'open']);
});
