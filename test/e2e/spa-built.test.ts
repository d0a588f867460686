// An app as Vite builds it, with a nonce and compressed files, as Chromium gets it from Postern.
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { startShop } from '../support/shop.ts';
import type { Shop } from '../support/shop.ts';

const noncePlaceholder = '__CSP_NONCE__';

let directory: string;
let shop: Shop;
let page: Page;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-built-'));
  await build({
    root: join(import.meta.dirname, 'dev-app'),
    configFile: false,
    envFile: false,
    logLevel: 'silent',
    html: { cspNonce: noncePlaceholder },
    build: { outDir: directory, target: 'es2022', emptyOutDir: true },
  });
  const assets = join(directory, 'assets');
  for (const name of await readdir(assets)) {
    await writeFile(join(assets, `${name}.gz`), gzipSync(await readFile(join(assets, name))));
  }
  shop = await startShop({ spa: { directory, noncePlaceholder } });
  page = await (await shop.newBrowser()).newPage();
});
afterAll(async () => {
  await shop.stop();
  await rm(directory, { recursive: true });
});

test('the built app runs under a nonce: its page is asked for each time, its hashed files are compressed and kept for good', async () => {
  const assets: Record<string, string | undefined>[] = [];
  page.on('response', (response) => {
    if (new URL(response.url()).pathname.startsWith('/assets/')) assets.push(response.headers());
  });
  const policies = new Set<string | undefined>();
  for (let visit = 0; visit < 2; visit += 1) {
    const answer = (await page.goto(shop.url))!;
    await page.getByText('Signed out').waitFor();
    expect(await page.locator('output').evaluate((output) => getComputedStyle(output).color)).toBe('rgb(1, 2, 3)');
    expect(await answer.text()).not.toContain(noncePlaceholder);
    expect(answer.headers()['cache-control']).toBe('no-store');
    policies.add(answer.headers()['content-security-policy']);
  }
  expect(policies.size).toBe(2);
  expect(assets.length).toBeGreaterThan(1);
  for (const headers of assets) {
    expect(headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'content-encoding': 'gzip',
      vary: 'Accept-Encoding',
    });
  }
});

test('a script in the page runs under this response’s nonce, and under no other (HDR-07)', async () => {
  const answer = (await page.goto(shop.url))!;
  const nonce = /'nonce-([\w-]+)'/.exec(answer.headers()['content-security-policy']!)![1]!;
  const ran = await page.evaluate((right) => {
    const run = (nonce: string): boolean => {
      document.body.setAttribute('data-ran', 'no');
      const script = document.createElement('script');
      script.nonce = nonce;
      script.textContent = 'document.body.setAttribute("data-ran", "yes")';
      document.body.append(script);
      return document.body.getAttribute('data-ran') === 'yes';
    };
    return [run(right), run(''), run('__CSP_NONCE__'), run(right.slice(0, -1))];
  }, nonce);
  expect(ran).toEqual([true, false, false, false]);
});
