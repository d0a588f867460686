// WebSockets in a real browser: the app's own get through and end with its session; another site's never do.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { logIn, logOut } from '../support/person.ts';
import { startShop } from '../support/shop.ts';
import type { Shop } from '../support/shop.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { until } from '../support/until.ts';

let upstream: SocketUpstream;
let shop: Shop;
let browser: BrowserContext;
let page: Page;

beforeAll(async () => {
  upstream = await SocketUpstream.start();
  shop = await startShop({
    routes: [
      { path: '/ws', upstream: upstream.url, websocket: true },
      { path: '/open', upstream: upstream.url, auth: 'none', websocket: true },
    ],
  });
});
afterAll(async () => {
  await shop.stop();
  await upstream.stop();
});
beforeEach(async () => {
  await upstream.reset();
  browser = await shop.newBrowser();
  page = await browser.newPage();
  await page.goto(shop.url);
});
afterEach(() => browser.close());

/** Opens a WebSocket in a page, sends it a word, and tells what happened to it there. */
async function connectIn(tab: Page, url: string): Promise<void> {
  await tab.evaluate((url) => {
    const heard: string[] = [];
    const socket = new WebSocket(url, 'chat');
    socket.onopen = () => {
      heard.push(`open ${socket.protocol}`);
      socket.send('hello');
    };
    socket.onmessage = ({ data }) => heard.push(String(data));
    socket.onclose = ({ code, reason, wasClean }) => heard.push(`closed ${code} ${reason} ${wasClean}`);
    Object.assign(globalThis, { heard });
  }, url);
}

const hears = (tab: Page, count: number): Promise<void> => until(async () => (await heardIn(tab)).length >= count);
const heardIn = (tab: Page): Promise<string[]> =>
  tab.evaluate(() => (globalThis as unknown as { heard: string[] }).heard);
const socketUrl = (path: string): string => shop.url.replace('http', 'ws') + path;

test('the app talks to its API, and a logout in another tab closes that cleanly, with a code of its own (WS-02)', async () => {
  await logIn(page);
  await connectIn(page, socketUrl('/ws'));
  await hears(page, 2);
  expect(await heardIn(page)).toEqual(['open chat', 'echo hello']);
  const { headers } = upstream.last.request;
  expect(headers.authorization).toMatch(/^Bearer /);
  expect(headers.cookie).toBeUndefined();
  const other = await browser.newPage();
  await other.goto(shop.url);
  await logOut(other);
  await hears(page, 3);
  expect((await heardIn(page)).at(-1)).toBe('closed 4401 logout true');
  expect(shop.heard()).not.toContain(headers.authorization!.slice('Bearer '.length));
});

test('a visitor who is not logged in opens none where a login is needed', async () => {
  await connectIn(page, socketUrl('/ws'));
  await hears(page, 1);
  expect(await heardIn(page)).toEqual(['closed 1006  false']);
  expect(upstream.handshakes).toEqual([]);
});

test('another site opens none with this browser’s session, not even where no login is needed (WS-01)', async () => {
  await logIn(page);
  const stranger = await browser.newPage();
  await stranger.goto(`${shop.provider.issuer}/.well-known/openid-configuration`);
  for (const path of ['/ws', '/open']) {
    await connectIn(stranger, socketUrl(path));
    await hears(stranger, 1);
    expect(await heardIn(stranger)).toEqual(['closed 1006  false']);
  }
  expect(upstream.handshakes).toEqual([]);
});
