import { expect, test } from '@jest/globals';
import { createLoginCounter } from '../../../src/login/login-counter.ts';
import { createSessionCookie } from '../../../src/session/cookie.ts';
import { Browser } from '../../support/browser.ts';
import { serve } from '../../support/express-app.ts';

const publicUrl = 'https://shop.example.com';
const cookie = createSessionCookie({
  publicUrl,
  baseName: 'postern',
  sameSite: 'strict',
  maxAgeMs: () => undefined,
  secrets: () => ['x'],
});

async function openBrowser() {
  const clock = { now: 1_750_000_000_000 };
  const counter = createLoginCounter({ cookie, now: () => clock.now });
  const app = await serve((request, response) => response.end(String(counter.count(request, response))), { publicUrl });
  const browser = new Browser({ ...app, now: () => clock.now });
  const logIn = async (headers: Record<string, string> = {}): Promise<boolean> =>
    (await browser.step('/', { headers })).body === 'true';
  return { clock, browser, logIn, [Symbol.asyncDispose]: () => app[Symbol.asyncDispose]() };
}

test('five logins in half a minute pass, the sixth does not, and half a minute after the first it starts anew (FL-08)', async () => {
  await using tab = await openBrowser();
  const passed: boolean[] = [];
  for (let login = 0; login < 7; login += 1) {
    passed.push(await tab.logIn());
    tab.clock.now += 4_000;
  }
  expect(passed).toEqual([true, true, true, true, true, false, false]);
  tab.clock.now += 2_000;
  expect(await tab.logIn()).toBe(true);
});

test('who logs in now and then is never stopped', async () => {
  await using tab = await openBrowser();
  for (let login = 0; login < 50; login += 1) {
    expect(await tab.logIn()).toBe(true);
    tab.clock.now += 8_000;
  }
});

test('the counter is a Lax, HttpOnly cookie of half a minute', async () => {
  await using tab = await openBrowser();
  await tab.logIn();
  expect(tab.browser.jar.get(`${cookie.name}-logins`)).toMatchObject({
    sameSite: 'lax',
    httpOnly: true,
    secure: true,
    path: '/',
  });
  tab.clock.now += 31_000;
  expect(tab.browser.jar.names()).toEqual([]);
});

test.each([
  'x',
  '',
  '9',
  '-1.5',
  '1e9.9',
  '99999999999999999999.9',
  '1750000000000.99',
  '1750000009999999.9',
  '%',
  '1750000000000.5; {name}=1750000000000.5',
])('a counter that is not ours starts anew: %j', async (value) => {
  await using tab = await openBrowser();
  const name = `${cookie.name}-logins`;
  expect(await tab.logIn({ cookie: `${name}=${value.replace('{name}', name)}` })).toBe(true);
});
