// The demo does in a real browser what the front page says it does.
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { startChromium } from '../support/chromium.ts';
import { startDemo } from '../support/demo.ts';
import type { Demo } from '../support/demo.ts';
import { startRedis } from '../support/redis.ts';

// Tokens of 15 s are waited for as people wait for them.
const patience = 90_000;

let chromium: Browser;
let demo: Demo;
beforeAll(async () => {
  chromium = await startChromium();
  demo = await startDemo();
}, patience);
afterAll(async () => {
  await demo.interrupt();
  await chromium.close();
}, patience);

async function open(page: Page, { url }: Demo): Promise<void> {
  await page.goto(url);
  await page.getByRole('link', { name: 'Log in' }).waitFor();
}

async function logIn(page: Page, user: string): Promise<void> {
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByLabel('User name').fill(user);
  await page.getByLabel('Password').fill('anything');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('button', { name: 'Allow' }).click();
  await page.getByRole('button', { name: 'Log out' }).waitFor();
}

async function callApi(page: Page): Promise<string> {
  const answered = page.waitForResponse((response) => response.url().endsWith('/api/orders'));
  await page.getByRole('button', { name: 'Call the API' }).click();
  const { accessToken } = (await (await answered).json()) as { accessToken: { fingerprint: string } };
  return accessToken.fingerprint;
}

test(
  'a newcomer logs in, calls the API, sees the token expire and the next call work, and logs out; the browser never holds a token',
  async () => {
    const context = await chromium.newContext();
    const page = await context.newPage();
    const received: Promise<string>[] = [];
    page.on('response', (response) => {
      if (!response.url().startsWith(demo.url)) return;
      received.push(
        response.allHeaders().then(async (headers) => {
          const body = await response.text().catch(() => '');
          return `${response.url()} ${JSON.stringify(headers)} ${body}`;
        }),
      );
    });

    await open(page, demo);
    await logIn(page, 'alice');
    const first = await callApi(page);
    expect(await callApi(page)).toBe(first);
    await page.getByText('token expired').waitFor();
    expect(await callApi(page)).not.toBe(first);
    await page.getByText('refreshed').waitFor();

    expect(await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length])).toEqual([
      '',
      0,
      0,
    ]);
    const cookies = await context.cookies(demo.url);
    expect(cookies.filter(({ httpOnly }) => !httpOnly)).toEqual([]);
    // Every JSON Web Token begins like this.
    expect((await Promise.all(received)).filter((text) => text.includes('eyJ'))).toEqual([]);

    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('heading', { name: 'Log out here too?' }).waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('link', { name: 'Log in' }).waitFor();
    expect(page.url()).toBe(`${demo.url}/`);
    await context.close();
  },
  patience,
);

test('what was typed survives a session that ended in another tab', async () => {
  const context = await chromium.newContext();
  const page = await context.newPage();
  await open(page, demo);
  await logIn(page, 'bob');

  const other = await context.newPage();
  await other.goto(demo.url);
  await other.getByRole('button', { name: 'Log out' }).click();
  await other.getByRole('button', { name: 'Stay logged in' }).click();
  await other.getByRole('link', { name: 'Log in' }).waitFor();

  await page.getByLabel('New order').fill('Two scones');
  await page.getByRole('button', { name: 'Order' }).click();
  await page.getByText('Nothing you typed is lost').waitFor();
  expect(await page.getByLabel('New order').inputValue()).toBe('Two scones');

  await page.getByRole('link', { name: 'Log in again' }).click();
  // The provider still knows Bob, so all it may ask is his consent.
  await page.getByRole('button', { name: /Allow|Order/ }).waitFor();
  if (await page.getByRole('button', { name: 'Allow' }).isVisible())
    await page.getByRole('button', { name: 'Allow' }).click();
  await page.getByRole('button', { name: 'Order' }).click();
  await page.getByRole('listitem').filter({ hasText: 'Two scones' }).waitFor();
  await context.close();
});

test('who comes back to a tab whose session has ended elsewhere finds what was typed there, and no word of a valid token', async () => {
  const context = await chromium.newContext();
  const page = await context.newPage();
  await open(page, demo);
  await logIn(page, 'bob');
  await page.getByLabel('New order').fill('Two scones');

  expect((await context.request.post(`${demo.url}/bff/logout`, { headers: { 'x-csrf': '1' } })).status()).toBe(200);
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await page.getByText('Nothing you typed is lost').waitFor();
  expect(await page.getByLabel('New order').inputValue()).toBe('Two scones');
  expect(await page.getByLabel('New order').isVisible()).toBe(true);
  expect(await page.getByText(/token (valid|expired)/).count()).toBe(0);
  expect(await page.getByRole('button', { name: 'Log out' }).count()).toBe(0);
  await context.close();
});

test('somebody who is no user, and somebody who says no, are told so and can try again', async () => {
  const context = await chromium.newContext();
  const page = await context.newPage();
  await open(page, demo);
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByLabel('User name').fill('mallory');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('Nobody here has that name').waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('login_failed').waitFor();
  await page.getByRole('link', { name: 'To the application' }).click();
  await page.getByRole('link', { name: 'Log in' }).waitFor();
  await context.close();
});

test(
  'a second demo works beside the first in the same browser: on another port, in Redis, with opaque tokens',
  async () => {
    await using redis = await startRedis();
    await using second = await startDemo('--redis', redis.url, '--opaque');
    const context = await chromium.newContext();
    const [here, there] = [await context.newPage(), await context.newPage()];
    await open(here, demo);
    await open(there, second);
    await logIn(here, 'alice');
    await logIn(there, 'bob');

    await callApi(here);
    await here.getByText('JWT token no. 1, for alice').waitFor();
    await callApi(there);
    await there.getByText('opaque token no. 1, for bob').waitFor();
    expect(await redis.command('KEYS', 'postern:*')).toEqual(
      expect.arrayContaining([expect.stringMatching(/:tokens$/)]),
    );

    // Cookies ignore ports: had the second provider taken the first one's, that one would have nobody left to log out.
    await here.getByRole('button', { name: 'Log out' }).click();
    await here.getByRole('heading', { name: 'Log out here too?' }).waitFor();

    await context.close();
    expect((await second.interrupt()).exitCode).toBe(0);
  },
  patience,
);

test(
  'Ctrl-C ends all of it and leaves nothing behind',
  async () => {
    await using brief = await startDemo();
    expect(existsSync(brief.configPath)).toBe(true);
    const { exitCode, output } = await brief.interrupt();
    expect(exitCode).toBe(0);
    expect(existsSync(brief.configPath)).toBe(false);
    for (const url of [brief.url, brief.providerUrl, brief.apiUrl])
      await expect(fetch(url)).rejects.toThrow('fetch failed');
    expect(output).not.toMatch(/NOTICE|WARNING|Error|at .*\.ts:/);
  },
  patience,
);

test('a port that is taken, and options that do not exist, are told in one line', async () => {
  const occupant = createServer().listen(0, '127.0.0.1');
  await once(occupant, 'listening');
  const { port } = occupant.address() as AddressInfo;
  await expect(startDemo('--port', String(port))).rejects.toThrow(`exit code 1\ndemo: port ${port} is taken\n`);
  occupant.close();
  await expect(startDemo('--port', 'eighty')).rejects.toThrow('exit code 64\ndemo: --port eighty is no port number\n');
  await expect(startDemo('--prot', '80')).rejects.toThrow("exit code 64\ndemo: Unknown option '--prot'");
});
