// A policy with a nonce that is new in every response, in the header and in the page (CSP Level 3 section 7.1).
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { brotliCompressSync } from 'node:zlib';
import { appOnDisk, get, navigation, script } from '../support/app-request.ts';
import type { AppOnDisk } from '../support/app-request.ts';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { valuesOf } from '../support/raw-client.ts';
import type { RawAnswer } from '../support/raw-client.ts';

const placeholder = '__CSP_NONCE__';
const page = `<!doctype html><meta property="csp-nonce" nonce="${placeholder}"><script nonce="${placeholder}">go()</script>`;

let app: AppOnDisk;
let gate: Gate;

beforeAll(async () => {
  app = await appOnDisk({
    'index.html': page,
    'index.html.br': brotliCompressSync(page),
    'admin/index.html': page,
    'app.js': `const inCode = '${placeholder}';`,
  });
  gate = await startGate({ spa: { directory: app.directory, noncePlaceholder: placeholder } });
});

afterAll(async () => {
  await gate.stop();
  await app.remove();
});

const policyOf = (answer: RawAnswer): string => valuesOf(answer, 'content-security-policy').join();
const nonceOf = (answer: RawAnswer): string => /'nonce-([\w-]{22,})'/.exec(policyOf(answer))![1]!;

test('page and policy name the same nonce, which no other response has', async () => {
  const seen = new Set<string>();
  for (const path of ['/', '/', '/index.html', '/cart', '/admin/']) {
    const answer = await get(gate, path);
    const nonce = nonceOf(answer);
    expect(answer.body).toBe(page.replaceAll(placeholder, nonce));
    expect(policyOf(answer)).toBe(
      `default-src 'self'; script-src 'self' 'nonce-${nonce}'; style-src 'self' 'nonce-${nonce}'; base-uri 'none'; object-src 'none'; form-action 'self' https://id.example.com; frame-ancestors 'none'`,
    );
    seen.add(nonce);
  }
  expect(seen.size).toBe(5);
});

test('a page with a nonce is kept by nobody, has no ETag, and is never answered by 304', async () => {
  const answer = await get(gate, '/', [
    ...navigation,
    'If-None-Match: *',
    'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT',
  ]);
  expect(answer.status).toBe(200);
  expect(valuesOf(answer, 'cache-control')).toEqual(['no-store']);
  expect(valuesOf(answer, 'etag')).toEqual([]);
  expect(valuesOf(answer, 'last-modified')).toEqual([]);
});

test('a page with a nonce is whole in every form of request: compressed forms would hold the placeholder, a part would not be a page', async () => {
  const compressed = await get(gate, '/', [...navigation, 'Accept-Encoding: br']);
  expect(valuesOf(compressed, 'content-encoding')).toEqual([]);
  expect(compressed.body).toBe(page.replaceAll(placeholder, nonceOf(compressed)));
  expect((await get(gate, '/', [...navigation, 'Range: bytes=0-9'])).status).toBe(200);
  const head = await get(gate, '/', navigation, 'HEAD');
  expect(head).toMatchObject({ status: 200, body: '' });
  expect(valuesOf(head, 'content-length')).toEqual(valuesOf(compressed, 'content-length'));
});

test('files that are no pages stay as they are, and no policy ever names the placeholder', async () => {
  const answer = await get(gate, '/app.js', script);
  expect(answer.body).toBe(`const inCode = '${placeholder}';`);
  expect(valuesOf(answer, 'cache-control')).toEqual(['no-cache']);
  expect(policyOf(answer)).not.toContain(placeholder);
});

test('a policy of one’s own gets the nonce where it names the placeholder', async () => {
  const contentSecurityPolicy = `script-src 'nonce-{{nonce}}' 'strict-dynamic'`;
  await app.write({ 'own/index.html': '<script nonce="{{nonce}}">' });
  const own = await startGate({
    spa: { directory: app.directory, noncePlaceholder: '{{nonce}}', contentSecurityPolicy },
  });
  const answer = await get(own, '/own/');
  const nonce = nonceOf(answer);
  expect(answer.body).toBe(`<script nonce="${nonce}">`);
  expect(policyOf(answer)).toBe(`script-src 'nonce-${nonce}' 'strict-dynamic'`);
  await own.stop();
});
