// The app while it is written: Chromium, Postern, and a real Vite behind it that was told nothing of Postern.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { answersIn } from '../support/access-log.ts';
import { startDevServer } from '../support/dev-server.ts';
import type { DevServer } from '../support/dev-server.ts';
import { startShop } from '../support/shop.ts';
import type { Shop } from '../support/shop.ts';
import { until } from '../support/until.ts';

let devServer: DevServer;
let shop: Shop;
let page: Page;

beforeAll(async () => {
  devServer = await startDevServer(join(import.meta.dirname, 'dev-app'));
  shop = await startShop({ spa: { upstream: devServer.url } });
  page = await (await shop.newBrowser()).newPage();
});
afterAll(async () => {
  await shop.stop();
  await devServer.stop();
});

test('the page loads, its modules run, its styles apply, and it talks to Postern as the built app would', async () => {
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  expect((await page.goto(shop.url))!.status()).toBe(200);
  await page.getByText('Signed out').waitFor();
  await page.getByText(/^(first|other) words$/).waitFor();
  expect(await page.locator('output').evaluate((output) => getComputedStyle(output).color)).toBe('rgb(1, 2, 3)');
  expect(errors).toEqual([]);
});

test('an edited module is loaded anew in the open page, over the socket through Postern', async () => {
  const sockets: string[] = [];
  const fresh = await (await shop.newBrowser()).newPage();
  fresh.on('websocket', (socket) => sockets.push(socket.url()));
  await fresh.goto(shop.url);
  await fresh.getByText('first words').waitFor();
  await until(() => sockets.length > 0);
  await fresh.evaluate(() => Object.assign(globalThis, { stillTheSamePage: true }));
  await devServer.edit('src/greeting.ts', 'first words', 'other words');
  await fresh.getByText('other words').waitFor();
  expect(await fresh.evaluate(() => 'stillTheSamePage' in globalThis)).toBe(true);
  // Vite falls back to its own port when the way of the page fails; it did not have to.
  expect(sockets.map((url) => new URL(url).host)).toEqual([new URL(shop.url).host]);
});

test('another site’s page cannot listen to the development server’s socket (WS-01)', async () => {
  const stranger = await (await shop.newBrowser()).newPage();
  await stranger.goto(`${shop.provider.issuer}/.well-known/openid-configuration`);
  const ending = await stranger.evaluate(
    (url) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url, 'vite-hmr');
        socket.onopen = () => resolve('open');
        socket.onerror = () => resolve('refused');
      }),
    shop.url.replace('http', 'ws'),
  );
  expect(ending).toBe('refused');
  expect(answersIn(shop.postern.log).filter(({ code }) => code === 'csrf_rejected')).toHaveLength(1);
});
