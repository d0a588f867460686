import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { logIn, openBrowser, startLogin, whoAmI } from '../support/browser-login.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';

let provider: RealProvider;
let postern: LocalPostern;

beforeAll(async () => {
  provider = await startRealProvider();
  postern = await startPostern(provider, {
    login: { parameters: ['prompt', 'login_hint', 'max_age', 'acr_values', 'ui_locales'] },
    routes: [{ path: '/api', upstream: 'http://127.0.0.1:9' }],
  });
});

afterAll(async () => {
  await postern.stop();
  await provider.close();
});

const transactionsOf = (browser: ReturnType<typeof openBrowser>): string[] =>
  browser.jar.names().filter((name) => name.includes('-tx-'));

test('a login is a redirect to the provider with PKCE, state and nonce, each new (BFF-05, OA-01, OA-05, ID-12)', async () => {
  const [one, other] = [await startLogin(openBrowser(postern)), await startLogin(openBrowser(postern))];
  expect(one.origin).toBe(provider.issuer);
  expect(Object.fromEntries(one.searchParams)).toMatchObject({
    response_type: 'code',
    client_id: provider.clientId,
    code_challenge_method: 'S256',
    redirect_uri: `${postern.publicUrl}/bff/callback`,
  });
  for (const name of ['state', 'nonce', 'code_challenge']) {
    expect(one.searchParams.get(name)!.length).toBeGreaterThanOrEqual(43);
    expect(one.searchParams.get(name)).not.toBe(other.searchParams.get(name));
  }
});

test('the transaction cookie is Lax, HttpOnly, short-lived, and says nothing in clear (CK-07, CK-09)', async () => {
  const browser = openBrowser(postern);
  const returnTo = `/${'a'.repeat(1000)}`;
  const url = await startLogin(browser, `?returnTo=${returnTo}&acr_values=${'x'.repeat(128)}&max_age=999999999`);
  const state = url.searchParams.get('state')!;
  const [name] = transactionsOf(browser);
  const cookie = browser.jar.get(name!)!;
  expect(cookie).toMatchObject({ sameSite: 'lax', httpOnly: true, path: '/' });
  expect(cookie.expiresAt! - Date.now()).toBeLessThanOrEqual(600_000);
  expect(cookie.value.length).toBeLessThanOrEqual(2048);
  expect(name).toMatch(new RegExp(`-tx-${createHash('sha256').update(state).digest('base64url').slice(0, 12)}$`));
  const decoded = cookie.value + Buffer.from(cookie.value.split('.')[2]!, 'base64url').toString('latin1');
  for (const secret of [state, url.searchParams.get('nonce')!, 'aaaaaaaaaa']) expect(decoded).not.toContain(secret);
});

test('Postern is asked for under https: the cookie is Secure and host-bound even though the last hop is plain (CK-01, CK-06)', async () => {
  const secure = await startPostern(provider, { publicUrl: 'https://shop.example.com' });
  try {
    const browser = openBrowser(secure);
    const answer = await browser.step('/bff/login', { headers: { 'x-forwarded-proto': 'http' } });
    expect(answer.setCookies.every((line) => line.startsWith('__Host-Http-postern-') && /; Secure/.test(line))).toBe(
      true,
    );
    expect(answer.headers).toMatchObject({ 'strict-transport-security': expect.stringContaining('max-age=') });
    expect(transactionsOf(browser)).toHaveLength(1);
  } finally {
    await secure.stop();
  }
});

test('thirty logins that nobody finishes leave three transactions, the newest of which completes (CK-10, FL-09)', async () => {
  const browser = openBrowser(postern);
  let last: URL | undefined;
  for (let tab = 0; tab < 30; tab += 1) {
    browser.jar.delete((name) => name.endsWith('-logins'));
    last = await startLogin(browser, `?returnTo=/tab-${tab}`);
  }
  expect(transactionsOf(browser)).toHaveLength(3);
  const callbackUrl = await provider.visit(last!);
  expect((await browser.step(callbackUrl, { from: provider.issuer })).headers['location']).toBe('/tab-29');
});

test('cookies that only look like transactions are the first to go', async () => {
  const browser = openBrowser(postern);
  const first = await startLogin(browser, '?returnTo=/first');
  const [name] = transactionsOf(browser);
  const fakes = ['AAAAAAAAAAAA', 'BBBBBBBBBBBB'].map((id) => name!.replace(/tx-.*/, `tx-${id}`));
  for (const fake of fakes) browser.jar.store(new URL(postern.publicUrl), `${fake}=1.garbage.x; Path=/; HttpOnly`);
  await startLogin(browser, '?returnTo=/second');
  expect(transactionsOf(browser)).toContain(name);
  const callbackUrl = await provider.visit(first);
  expect((await browser.step(callbackUrl, { from: provider.issuer })).headers['location']).toBe('/first');
});

test('three tabs that log in at once, finished in another order, all end where they were going (FL-08)', async () => {
  const browser = openBrowser(postern);
  const tabs = [];
  for (const tab of ['/one', '/two', '/three']) tabs.push(await startLogin(browser, `?returnTo=${tab}`));
  const ends = [];
  for (const tab of [tabs[2]!, tabs[0]!, tabs[1]!]) {
    const answer = await browser.step(await provider.visit(tab), { from: provider.issuer });
    ends.push(answer.headers['location']);
  }
  expect(ends).toEqual(['/three', '/one', '/two']);
  expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
});

test('a sixth login within half a minute gets a page, not one more round (FL-08, SEC-06)', async () => {
  const browser = openBrowser(postern);
  for (let round = 0; round < 5; round += 1) await startLogin(browser);
  const sixth = await browser.step('/bff/login');
  expect(sixth).toMatchObject({
    status: 429,
    headers: { 'content-type': 'text/html; charset=utf-8', 'retry-after': '30' },
  });
  expect(sixth.body).toContain('rate_limited');
  expect(sixth.setCookies).toEqual([]);
});

test('images, frames, scripts and prefetches start no login (SES-13, CSRF-09)', async () => {
  const browser = openBrowser(postern);
  const attempts = [
    await browser.embed('/bff/login', 'image', postern.publicUrl),
    await browser.embed('/bff/login', 'iframe', postern.publicUrl),
    await browser.embed('/bff/login', 'image', 'https://evil.example'),
    await browser.fetch('/bff/login'),
    await browser.step('/bff/login', { headers: { 'sec-purpose': 'prefetch' } }),
  ];
  for (const answer of attempts) {
    expect(answer).toMatchObject({
      status: 403,
      headers: { 'content-type': 'application/problem+json; charset=utf-8' },
    });
    expect(answer.json()).toMatchObject({ code: 'navigation_required' });
    expect(answer.setCookies).toEqual([]);
  }
});

test('HEAD and POST are no logins', async () => {
  const browser = openBrowser(postern);
  for (const method of ['HEAD', 'POST']) {
    const answer = await browser.step('/bff/login', { method });
    expect([answer.status, answer.headers['allow'], answer.setCookies]).toEqual([405, 'GET', []]);
  }
});

test('a link on another site asks first; saying yes goes on with the same wishes (CSRF-09, SES-13)', async () => {
  const browser = openBrowser(postern);
  const query = `returnTo=/cart%3Fa%3D1&login_hint=al%22ice&scope=admin`;
  const page = await browser.step(`/bff/login?${query}`, { from: 'https://evil.example' });
  expect(page.status).toBe(200);
  expect(page.setCookies).toEqual([]);
  expect(page.headers['content-security-policy']).toContain("frame-ancestors 'none'");
  expect(page.body).not.toContain('admin');
  const [, link] = /<a href="(\/bff\/login\?[^"]+)">/.exec(page.body)!;
  const yes = link!.replaceAll('&#38;', '&');
  expect(Object.fromEntries(new URL(yes, postern.publicUrl).searchParams)).toEqual({
    returnTo: '/cart?a=1',
    login_hint: 'al"ice',
  });
  const onwards = await browser.step(yes, { from: postern.publicUrl });
  expect(onwards.status).toBe(302);
});

test('where the configuration allows it, other sites may start a login', async () => {
  const open = await startPostern(provider, { login: { crossSite: 'allow' } });
  try {
    const answer = await openBrowser(open).step('/bff/login', { from: 'https://portal.example' });
    expect(answer.status).toBe(302);
  } finally {
    await open.stop();
  }
});

test('only allowed and well-formed parameters reach the provider, each once, never scope or redirect_uri (OA-18, RD-10)', async () => {
  const query = new URLSearchParams({
    prompt: 'login',
    login_hint: 'alice@example.test',
    max_age: '60',
    ui_locales: 'de en',
    scope: 'admin',
  });
  query.append('redirect_uri', 'https://evil.example');
  query.append('acr_values', 'gold');
  query.append('acr_values', 'lead');
  const { searchParams } = await startLogin(openBrowser(postern), `?${query}`);
  expect(Object.fromEntries(searchParams)).toMatchObject({
    prompt: 'login',
    login_hint: 'alice@example.test',
    max_age: '60',
    ui_locales: 'de en',
    scope: 'openid profile email',
  });
  expect(searchParams.getAll('redirect_uri')).toEqual([`${postern.publicUrl}/bff/callback`]);
  expect(searchParams.has('acr_values')).toBe(false);
});

test.each([
  'prompt=none%20login',
  'max_age=1e3',
  'max_age=-1',
  'login_hint=a%0d%0ab',
  'ui_locales=%3Cscript%3E',
  'prompt[]=login',
  'prompt[a]=login',
  '__proto__=x',
  'returnTo[]=/a',
  'returnTo=/a&returnTo=/b',
  '%',
  '%ff=%ff&a',
  `login_hint=${'x'.repeat(5000)}`,
])('a strange query is left out and keeps nobody from logging in: %s (RD-12)', async (query) => {
  const { searchParams } = await startLogin(openBrowser(postern), `?${query}`);
  for (const name of ['prompt', 'max_age', 'login_hint', 'ui_locales']) expect(searchParams.has(name)).toBe(false);
});

test.each([
  'https://evil.example',
  '//evil.example',
  '/\\evil.example',
  '/%09/evil.example',
  '/bff/login',
  '/api/orders',
  'javascript:alert(1)',
])('a login with returnTo %s works and ends on the start page (RED-01, RD-13)', async (returnTo) => {
  const browser = openBrowser(postern);
  const answer = await logIn(browser, provider, { query: `?returnTo=${encodeURIComponent(returnTo)}` });
  expect(answer).toMatchObject({ status: 303, headers: { location: '/' } });
});

test('no header of a request changes where the provider sends people back to (OA-10, RD-15)', async () => {
  const browser = openBrowser(postern);
  const answer = await browser.step('/bff/login', {
    headers: {
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil.example',
      'x-forwarded-proto': 'https',
      'x-original-url': '/evil',
    },
  });
  expect(new URL(String(answer.headers['location'])).searchParams.get('redirect_uri')).toBe(
    `${postern.publicUrl}/bff/callback`,
  );
});

test('starting a login costs no store command, and so does asking who an anonymous visitor is (S-16)', async () => {
  await using redis = await startRedis();
  const stored = await startPostern(provider, { redis: { url: redis.url } });
  try {
    const browser = openBrowser(stored);
    await logIn(browser, provider);
    const commands = async (): Promise<string> =>
      String(await redis.command('INFO', 'commandstats'))
        .split('\n')
        .filter((line) => /cmdstat_(eval|get|set|del|hset|hgetall|expire|pexpire)/.test(line))
        .map((line) => line.split(',', 1)[0])
        .join();
    const before = await commands();
    expect(before).toContain('eval');
    for (let visit = 0; visit < 50; visit += 1) {
      const stranger = openBrowser(stored);
      await startLogin(stranger);
      expect(await whoAmI(stranger)).toEqual({ authenticated: false, loginUrl: '/bff/login' });
    }
    expect(await commands()).toBe(before);
  } finally {
    await stored.stop();
  }
});

test('a provider that is away is a page with a way on, not an error of ours', async () => {
  const away = await startRealProvider();
  const alone = await startPostern(away);
  try {
    await away.goAway();
    const answer = await openBrowser(alone).step('/bff/login');
    expect(answer).toMatchObject({ status: 503, headers: { 'content-type': 'text/html; charset=utf-8' } });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.body).toContain('provider_unavailable');
    await away.comeBack();
  } finally {
    await alone.stop();
    await away.close();
  }
});
