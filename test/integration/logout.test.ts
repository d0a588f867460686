// A logout: the session ends here at once, whatever provider and store do, its refresh token dies, and nobody else can bring it about.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { copyOf, logIn, openBrowser, sessionCookieOf, signedInBrowser, whoAmI } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { startInstallation } from '../support/installation.ts';
import type { Installation } from '../support/installation.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';

let place: Installation;
let provider: RealProvider;
let redis: RedisServer;
let postern: LocalPostern;
beforeAll(async () => {
  place = await startInstallation({ logout: { returnTo: '/signed-out' } });
  ({ provider, redis, postern } = place);
});
beforeEach(() => place.clear());
afterEach(() => provider.endpoints.behaviours.revocation.recover());
afterAll(() => place[Symbol.asyncDispose]());

const signedIn = (): Promise<Browser> => signedInBrowser(postern, provider);
const logOut = (browser: Browser, headers: Record<string, string> = {}) =>
  browser.fetch('/bff/logout', { method: 'POST', headers });
const revocations = (): number => provider.endpoints.seen('revocation').length;

test('a logout ends the session in the store at once; a copy of the cookie opens nothing (LOG-01, SES-08)', async () => {
  const browser = await signedIn();
  const thief = copyOf(browser, postern);
  const answer = await logOut(browser);
  expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
  expect(Object.keys(answer.json())).toEqual(['logoutUrl']);
  expect(await redis.command('KEYS', 'postern:{*')).toEqual([]);
  expect(await whoAmI(thief)).toMatchObject({ authenticated: false });
  expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
});

test('the cookie is deleted with the attributes it was set with, and is gone from the browser (CK-14, S-09)', async () => {
  const secure = await startPostern(provider, { publicUrl: 'https://shop.example.com', cookie: { persistent: true } });
  try {
    const browser = openBrowser(secure);
    await logIn(browser, provider);
    const name = '__Host-Http-postern';
    expect(browser.jar.get(name)?.expiresAt).toBeGreaterThan(Date.now());
    const { setCookies } = await logOut(browser);
    expect(setCookies).toEqual([
      `${name}=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Strict`,
    ]);
    expect(browser.jar.names()).not.toContain(name);
  } finally {
    await secure.stop();
  }
});

test('a form works as well as a script: 303 on the way out (CSRF-08)', async () => {
  const browser = await signedIn();
  const answer = await browser.submit('/bff/logout');
  expect(answer.leadsTo?.origin).toBe(provider.issuer);
  expect(sessionCookieOf(browser)).toBeUndefined();
});

test('where X-CSRF is required, a form logout needs it not, and a script does', async () => {
  const strict = await startPostern(provider, { csrf: { requireHeader: true } });
  try {
    const browser = openBrowser(strict);
    await logIn(browser, provider);
    expect((await logOut(browser)).status).toBe(403);
    expect((await browser.submit('/bff/logout')).leadsTo?.origin).toBe(provider.issuer);
    expect((await logOut(browser, { 'x-csrf': '1' })).status).toBe(200);
  } finally {
    await strict.stop();
  }
});

test('logging out twice, or without ever having been in, is fine (CS-04)', async () => {
  const browser = await signedIn();
  const again = copyOf(browser, postern);
  await logOut(browser);
  for (const someone of [browser, again, openBrowser(postern)]) {
    const answer = await logOut(someone);
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.json()).toEqual({ logoutUrl: '/bff/logout/continue' });
    expect((await someone.step('/bff/logout/continue')).headers['location']).toBe('/signed-out');
  }
  expect(sessionCookieOf(again)).toBeUndefined();
});

describe('nobody else can log our user out', () => {
  test('not with a GET, an image or a link (CSRF-08, CS-04)', async () => {
    const browser = await signedIn();
    await browser.embed('/bff/logout', 'image', 'https://evil.example');
    expect((await browser.step('/bff/logout', { from: 'https://evil.example' })).status).toBe(405);
    expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
  });

  test.each([
    ['another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
    ['a sibling', { 'sec-fetch-site': 'same-site', origin: 'http://localhost:1' }],
    ['a sandboxed frame', { 'sec-fetch-site': 'same-origin', origin: 'null' }],
    ['a value that no browser sends', { 'sec-fetch-site': '' }],
    ['a typed address', { 'sec-fetch-site': 'none' }],
  ] as [string, Record<string, string>][])(
    'not from %s, with or without the cookie (CSRF-02, CSRF-03, CS-02)',
    async (_who, headers) => {
      const browser = await signedIn();
      for (const someone of [browser, openBrowser(postern)]) {
        const answer = await logOut(someone, headers);
        expect([answer.status, answer.json().code, answer.setCookies]).toEqual([403, 'csrf_rejected', []]);
      }
      expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
    },
  );

  test('a refused form is answered with a page', async () => {
    const answer = await (await signedIn()).submit('/bff/logout', { from: 'https://evil.example' });
    expect(answer).toMatchObject({ status: 403, headers: { 'content-type': 'text/html; charset=utf-8' } });
    expect(answer.body).toContain('csrf_rejected');
  });
});

describe('the refresh token', () => {
  test('is revoked at the provider (RV-01, CS-12)', async () => {
    await logOut(await signedIn());
    await until(() => revocations() === 1);
    const [seen] = provider.endpoints.seen('revocation');
    expect(seen).toMatchObject({ clientAuth: 'basic' });
    expect(seen!.parameters.get('token_type_hint')).toBe('refresh_token');
  });

  test('being hard to revoke keeps nobody waiting, and is tried again (RV-02, CS-12)', async () => {
    provider.endpoints.behaviours.revocation.fail({ error: 'temporarily_unavailable', status: 503 }, 1);
    const browser = await signedIn();
    provider.endpoints.behaviours.revocation.delayMs = 1_000;
    const startedAt = performance.now();
    expect((await logOut(browser)).status).toBe(200);
    expect(performance.now() - startedAt).toBeLessThan(900);
    expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
    provider.endpoints.behaviours.revocation.delayMs = 0;
    await until(() => revocations() === 2, 15_000);
  });

  test('is left alone where the configuration says so', async () => {
    const lenient = await startPostern(provider, { logout: { revoke: 'never' } });
    const eager = await startPostern(provider, { logout: { revoke: 'always' } });
    try {
      for (const at of [lenient, eager]) {
        const browser = openBrowser(at);
        await logIn(browser, provider);
        await logOut(browser);
      }
      await until(() => revocations() > 0);
      expect(revocations()).toBe(1);
    } finally {
      await lenient.stop();
      await eager.stop();
    }
  });
});

test('with the store away: 503, the cookie stays, the session is refused here at once, and it is ended when the store is back', async () => {
  await using own = await startRedis();
  const at = await startPostern(provider, { redis: { url: own.url } });
  try {
    const browser = openBrowser(at);
    await logIn(browser, provider);
    own.freeze();
    const answer = await logOut(browser);
    own.thaw();
    expect(answer).toMatchObject({ status: 503, setCookies: [], headers: { 'retry-after': '2' } });
    expect(answer.json()).toMatchObject({ code: 'session_store_unavailable' });
    expect(sessionCookieOf(browser)).toBeDefined();
    expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
    await until(async () => ((await own.command('KEYS', 'postern:{*')) as string[]).length === 0);
  } finally {
    await at.stop();
  }
});
