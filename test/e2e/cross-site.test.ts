// What an evil page can make a real Chromium send to Postern while somebody is signed in there, from a sibling of the app's site and from a stranger's.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { answersIn } from '../support/access-log.ts';
import { call, logIn } from '../support/person.ts';
import { startSecureShop } from '../support/secure-shop.ts';
import type { SecureShop } from '../support/secure-shop.ts';
import { until } from '../support/until.ts';

let shop: SecureShop;
beforeAll(async () => {
  shop = await startSecureShop();
});
afterAll(() => shop.stop());

/** Ways for a page to have a request sent. None of them asks for leave first, as a fetch with a header of its own would. */
const ways = {
  'a fetch': (evil: Page, url: string) =>
    evil.evaluate((to) => void fetch(to, { credentials: 'include', mode: 'no-cors' }), url),
  'a fetch that posts': (evil: Page, url: string) =>
    evil.evaluate((to) => void fetch(to, { method: 'POST', credentials: 'include', mode: 'no-cors', body: '{}' }), url),
  'a beacon': (evil: Page, url: string) => evil.evaluate((to) => void navigator.sendBeacon(to, '{}'), url),
  'a form that posts': (evil: Page, url: string) => submitForm(evil, url, 'application/x-www-form-urlencoded'),
  'a form that posts text/plain': (evil: Page, url: string) => submitForm(evil, url, 'text/plain'),
  'a form that posts multipart': (evil: Page, url: string) => submitForm(evil, url, 'multipart/form-data'),
  'an image': (evil: Page, url: string) => embed(evil, 'img', url),
  'a script': (evil: Page, url: string) => embed(evil, 'script', url),
  'a frame': (evil: Page, url: string) => embed(evil, 'iframe', url),
  'a new window': (evil: Page, url: string) => evil.evaluate((to) => void window.open(to), url),
  'a link': (evil: Page, url: string) => evil.evaluate((to) => location.assign(to), url),
} satisfies Record<string, (evil: Page, url: string) => Promise<void>>;

interface Attempt {
  way: keyof typeof ways;
  method: 'GET' | 'POST';
  path: string;
  /** The cookie comes along from the sibling. */
  sibling: string;
  /** SameSite=Strict keeps it back from the stranger. */
  stranger: string;
}

const get = (way: Attempt['way'], path: string, sibling: string, stranger: string): Attempt => ({
  ...{ way, method: 'GET', path, sibling, stranger },
});
const post = (way: Attempt['way'], path: string, sibling: string, stranger: string): Attempt => ({
  ...{ way, method: 'POST', path, sibling, stranger },
});
const rejected = '403 csrf_rejected';
const anonymous = '401 session_required';
const noNavigation = '403 navigation_required';

const attempts: Attempt[] = [
  get('a fetch', '/api/orders', rejected, anonymous),
  get('a fetch', '/bff/session', rejected, '200'),
  get('a fetch', '/bff/login', noNavigation, noNavigation),
  post('a fetch that posts', '/api/orders', rejected, anonymous),
  post('a fetch that posts', '/bff/refresh', rejected, anonymous),
  post('a fetch that posts', '/bff/logout', rejected, rejected),
  post('a beacon', '/api/orders', rejected, anonymous),
  post('a beacon', '/bff/logout', rejected, rejected),
  post('a form that posts', '/api/orders', rejected, anonymous),
  post('a form that posts', '/bff/logout', rejected, rejected),
  post('a form that posts text/plain', '/api/orders', rejected, anonymous),
  post('a form that posts multipart', '/api/orders', rejected, anonymous),
  get('an image', '/api/orders', rejected, anonymous),
  get('an image', '/bff/logout', '405 method_not_allowed', '405 method_not_allowed'),
  get('an image', '/bff/login', noNavigation, noNavigation),
  get('a script', '/bff/session', rejected, '200'),
  get('a frame', '/api/orders', rejected, anonymous),
  get('a frame', '/bff/session', rejected, '200'),
  get('a frame', '/bff/login', noNavigation, noNavigation),
  get('a new window', '/api/orders', rejected, anonymous),
  get('a new window', '/bff/session', rejected, '200'),
  get('a link', '/api/orders', rejected, anonymous),
  get('a link', '/bff/logout', '405 method_not_allowed', '405 method_not_allowed'),
];

describe.each([
  { host: 'evil.shop.test', relation: 'sibling' },
  { host: 'evil.test', relation: 'stranger' },
] as const)('from $host', ({ host, relation }) => {
  let browser: BrowserContext;
  /** The app, signed in. */
  let page: Page;
  let evil: Page;

  beforeAll(async () => {
    browser = await shop.newBrowser();
    page = await browser.newPage();
    await page.goto(shop.url);
    await logIn(page);
  });
  afterAll(() => browser.close());
  afterEach(async () => {
    for (const opened of browser.pages()) if (opened !== page) await opened.close();
  });

  async function openEvil(): Promise<Page> {
    evil = await browser.newPage();
    await evil.goto(shop.urlOf(host));
    return evil;
  }

  test.each(attempts.map((attempt) => ({ ...attempt, answer: attempt[relation] })))(
    '$way to $method $path is answered $answer, the API hears nothing and the session lives (CSRF-02, CSRF-04, CSRF-05, CSRF-08, CSRF-09, CS-02, CS-04)',
    async ({ way, method, path, answer }) => {
      const before = { log: shop.postern.log.length, api: shop.api.requests.length };
      await ways[way](await openEvil(), shop.url + path);
      let seen: string | undefined;
      await until(() => (seen = answerTo(method, path, before.log)) !== undefined);
      expect(seen).toBe(answer);
      expect(shop.api.requests).toHaveLength(before.api);
      expect((await call(page, '/api/orders')).status).toBe(200);
    },
  );

  test('a call that needs leave first is refused at its preflight, and no answer may be read (CSRF-06, CS-03)', async () => {
    const before = shop.postern.log.length;
    const outcome = await (
      await openEvil()
    ).evaluate(async (url) => {
      const send = (init: RequestInit) => fetch(url, { credentials: 'include', ...init });
      const attemptsToRead = [
        send({ headers: { 'X-CSRF': '1' } }),
        send({ method: 'PUT', body: '{}' }),
        send({ method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }),
        send({}),
      ];
      return (await Promise.allSettled(attemptsToRead)).map(({ status }) => status);
    }, `${shop.url}/api/orders`);
    expect(outcome).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
    expect(answerTo('OPTIONS', '/api/orders', before)).toBe('403 csrf_rejected');
    expect(answerTo('PUT', '/api/orders', before)).toBeUndefined();
    expect(answerTo('POST', '/api/orders', before)).toBeUndefined();
  });
});

/** What Postern answered to such a request after a point of its log: status, and the code where there is one. */
function answerTo(method: string, path: string, after: number): string | undefined {
  const answers = answersIn(shop.postern.log.slice(after));
  const answer = answers.find((candidate) => candidate.method === method && candidate.path === path);
  return answer && `${answer.status} ${answer.code ?? ''}`.trim();
}

function submitForm(evil: Page, url: string, encoding: string): Promise<void> {
  return evil.evaluate(
    ([action, enctype]) => {
      const form = document.createElement('form');
      Object.assign(form, { method: 'post', action, enctype });
      document.body.append(form);
      form.submit();
    },
    [url, encoding],
  );
}

function embed(evil: Page, tag: 'img' | 'script' | 'iframe', url: string): Promise<void> {
  return evil.evaluate(
    ([name, src]) => {
      const element = document.createElement(name!);
      document.body.append(Object.assign(element, { src }));
    },
    [tag, url],
  );
}
