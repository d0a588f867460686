// The single-page app as Chromium gets it from Postern: history, caching, and a Content-Security-Policy that holds.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { answersIn } from '../support/access-log.ts';
import { confirmLogout, isSignedOut, logIn } from '../support/person.ts';
import { startShop } from '../support/shop.ts';
import type { Shop } from '../support/shop.ts';

let shop: Shop;
let browser: BrowserContext;
let page: Page;

beforeAll(async () => {
  shop = await startShop({ apiOpensAsPage: true });
});
afterAll(() => shop.stop());
beforeEach(async () => {
  browser = await shop.newBrowser();
  page = await browser.newPage();
});
afterEach(() => browser.close());

/** The requests for a path that reached Postern: what Chromium took from its cache is not there. */
const requestsFor = (wanted: string) => answersIn(shop.postern.log).filter(({ path }) => path === wanted);

test('an address inside the app opens the app, also after a reload; a file that is not there is a 404', async () => {
  const deep = `${shop.url}/orders/42?sort=date#total`;
  expect((await page.goto(deep))!.status()).toBe(200);
  await isSignedOut(page);
  expect((await page.reload())!.ok()).toBe(true);
  await isSignedOut(page);
  expect(page.url()).toBe(deep);
  expect(await page.evaluate(() => fetch('/orders/42').then(({ status }) => status))).toBe(404);
  expect((await page.goto(`${shop.url}/assets/gone-12345678.js`))!.status()).toBe(404);
});

test('a file with a hash in its name is fetched once; index.html is asked for each time and not sent again', async () => {
  const asset = '/assets/app-4f3a2b1c.js';
  const before = { asset: requestsFor(asset).length, index: requestsFor('/').length };
  for (let visit = 0; visit < 3; visit += 1) {
    await page.goto(shop.url);
    await isSignedOut(page);
  }
  expect(requestsFor(asset).slice(before.asset)).toMatchObject([{ status: 200 }]);
  expect(requestsFor('/').slice(before.index)).toMatchObject([{ status: 200 }, { status: 304 }, { status: 304 }]);
});

test('a script in an answer of the API does not run when the answer is opened as a page (HDR-07)', async () => {
  shop.api.answer = (_request, response) => {
    response.setHeader('content-type', 'text/html').end('<h1>Invoice</h1><script>document.title = "owned"</script>');
  };
  await page.goto(shop.url);
  await logIn(page);
  await page.goto(`${shop.url}/api/invoice`);
  await page.getByRole('heading', { name: 'Invoice' }).waitFor();
  expect(await page.title()).toBe('');
});

test('a script that an attacker gets into a page of the app does not run, nor does one from elsewhere', async () => {
  await page.goto(shop.url);
  const refused = await page.evaluate(async (elsewhere) => {
    const violations: string[] = [];
    document.addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective));
    document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="document.title = `owned`">');
    for (const script of [{ textContent: 'document.title = "owned"' }, { src: elsewhere }]) {
      document.body.append(Object.assign(document.createElement('script'), script));
    }
    while (violations.length < 3) await new Promise(requestAnimationFrame);
    return violations;
  }, `${shop.provider.issuer}/owned.js`);
  expect(refused).toContain('script-src-elem');
  expect(refused).toContain('script-src-attr');
  expect(await page.title()).toBe('Shop');
});

test('a logout form without a script works under the policy, through the provider and back (LOG-01)', async () => {
  await page.goto(shop.url);
  await logIn(page);
  await page.getByRole('button', { name: 'Log out without a script' }).click();
  await confirmLogout(page);
  expect(page.url()).toBe(`${shop.url}/`);
  expect((await browser.cookies(shop.url)).some(({ value }) => value.startsWith('s%3A'))).toBe(false);
});

test('a form that was turned to another site sends nothing: form-action names us and the provider alone', async () => {
  const before = shop.api.requests.length;
  await page.goto(shop.url);
  const directive = await page.evaluate((url) => {
    const refused = new Promise<string>((resolve) => {
      document.addEventListener('securitypolicyviolation', (event) => resolve(event.violatedDirective));
    });
    const form = document.querySelector('form')!;
    form.action = url;
    form.requestSubmit();
    return refused;
  }, shop.api.url);
  expect(directive).toBe('form-action');
  expect(shop.api.requests).toHaveLength(before);
});
