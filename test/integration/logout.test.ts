import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { logIn, openBrowser, whoAmI } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { until } from '../support/until.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';

let provider: RealProvider;
let redis: RedisServer;
let postern: LocalPostern;

beforeAll(async () => {
  [provider, redis] = await Promise.all([startRealProvider(), startRedis()]);
  postern = await startPostern(provider, { redis: { url: redis.url }, logout: { returnTo: '/signed-out' } });
});

beforeEach(async () => {
  await redis.command('FLUSHALL');
  provider.endpoints.requests.length = 0;
});

afterEach(() => provider.endpoints.behaviours.revocation.recover());

afterAll(async () => {
  await postern.stop();
  await provider.close();
  await redis[Symbol.asyncDispose]();
});

async function signedIn(): Promise<Browser> {
  const browser = openBrowser(postern);
  await logIn(browser, provider);
  return browser;
}

const sessionCookie = (browser: Browser): string | undefined =>
  browser.jar.names().find((name) => /^postern-\d+$/.test(name));
const logOut = (browser: Browser, headers: Record<string, string> = {}) =>
  browser.fetch('/bff/logout', { method: 'POST', headers });
const revocations = (): number => provider.endpoints.seen('revocation').length;

/** The same cookies in another browser: what a thief has. */
function copyOf(browser: Browser): Browser {
  const copy = openBrowser(postern);
  const name = sessionCookie(browser)!;
  copy.jar.store(
    new URL(postern.publicUrl),
    `${name}=${browser.jar.get(name)!.value}; Path=/; HttpOnly; SameSite=Strict`,
  );
  return copy;
}

test('a logout ends the session in the store at once; a copy of the cookie opens nothing (LOG-01, SES-08)', async () => {
  const browser = await signedIn();
  const thief = copyOf(browser);
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

test('the provider is told who logs out, where to come back to, and nothing reaches a script (LOG-02, LOG-03)', async () => {
  const browser = await signedIn();
  const { logoutUrl } = (await logOut(browser)).json();
  expect(logoutUrl).toMatch(/^\/bff\/logout\/continue\?ticket=[A-Za-z0-9_-]{43}$/);
  const answer = await browser.step(logoutUrl, { from: postern.publicUrl });
  expect([answer.status, answer.body]).toEqual([302, '']);
  const endSession = new URL(String(answer.headers['location']));
  expect(endSession.origin).toBe(provider.issuer);
  expect(Object.fromEntries(endSession.searchParams)).toEqual({
    id_token_hint: expect.stringMatching(/^eyJ/),
    client_id: provider.clientId,
    post_logout_redirect_uri: `${postern.publicUrl}/bff/logout/callback`,
    state: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
  });
  const home = await provider.visit(endSession);
  expect(home.href).toMatch(`${postern.publicUrl}/bff/logout/callback`);
  expect(await browser.step(home, { from: provider.issuer })).toMatchObject({
    status: 303,
    headers: { location: '/signed-out' },
  });
});

test('a form works as well as a script: 303 on the way out (CSRF-08)', async () => {
  const browser = await signedIn();
  const answer = await browser.submit('/bff/logout');
  expect(answer.leadsTo?.origin).toBe(provider.issuer);
  expect(sessionCookie(browser)).toBeUndefined();
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

describe('the ticket', () => {
  test('a logout ticket works once', async () => {
    const browser = await signedIn();
    const { logoutUrl } = (await logOut(browser)).json();
    await browser.step(logoutUrl);
    expect(await browser.step(logoutUrl)).toMatchObject({ status: 303, headers: { location: '/signed-out' } });
  });

  test('a logout ticket lives a minute, and what the store holds of it opens nothing', async () => {
    const { logoutUrl } = (await logOut(await signedIn())).json();
    const [key, ...others] = (await redis.command('KEYS', 'postern:logout:*')) as string[];
    expect(others).toEqual([]);
    expect(Number(await redis.command('PTTL', key!))).toBeLessThanOrEqual(60_000);
    const stored = key! + String(await redis.command('GET', key!));
    expect(stored).not.toContain(new URL(logoutUrl, postern.publicUrl).searchParams.get('ticket'));
    expect(stored).not.toContain('eyJ');
  });

  test('a logout ticket is not spent by a prefetch, a script or a frame', async () => {
    const browser = await signedIn();
    const { logoutUrl } = (await logOut(browser)).json();
    const attempts = [
      await browser.fetch(logoutUrl),
      await browser.embed(logoutUrl, 'iframe', postern.publicUrl),
      await browser.step(logoutUrl, { headers: { 'sec-purpose': 'prefetch' } }),
      await browser.step(logoutUrl, { method: 'HEAD' }),
    ];
    expect(attempts.map(({ status }) => status)).toEqual([403, 403, 403, 405]);
    expect((await browser.navigate(logoutUrl)).leadsTo?.origin).toBe(provider.issuer);
  });

  test.each([
    '',
    '?ticket=',
    '?ticket=guessed',
    '?ticket=a&ticket=b',
    '?ticket[]=x',
    '?%',
    `?ticket=${'x'.repeat(5000)}`,
    '?returnTo=https://evil.example',
  ])('that nobody gave out leads to the signed-out page: %s (RD-11)', async (query) => {
    const answer = await openBrowser(postern).step(`/bff/logout/continue${query}`);
    expect(answer).toMatchObject({ status: 303, headers: { location: '/signed-out' }, setCookies: [] });
  });
});

test.each([
  '',
  '?state=another',
  '?state=a&state=b',
  '?state=%00',
  '?returnTo=https://evil.example&post_logout_redirect_uri=//evil.example',
])('coming back with any state at all ends on the signed-out page (LOG-04): %s', async (query) => {
  const answer = await openBrowser(postern).step(`/bff/logout/callback${query}`, { from: provider.issuer });
  expect(answer).toMatchObject({ status: 303, body: '', headers: { location: '/signed-out' }, setCookies: [] });
});

test('logging out twice, or without ever having been in, is fine (CS-04)', async () => {
  const browser = await signedIn();
  const again = copyOf(browser);
  await logOut(browser);
  for (const someone of [browser, again, openBrowser(postern)]) {
    const answer = await logOut(someone);
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.json()).toEqual({ logoutUrl: '/bff/logout/continue' });
    expect((await someone.step('/bff/logout/continue')).headers['location']).toBe('/signed-out');
  }
  expect(sessionCookie(again)).toBeUndefined();
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

test('the provider may be told client_id alone', async () => {
  const discreet = await startPostern(provider, { logout: { idTokenHint: false } });
  try {
    const browser = openBrowser(discreet);
    await logIn(browser, provider);
    const { leadsTo } = await browser.navigate((await logOut(browser)).json().logoutUrl);
    expect(leadsTo?.searchParams.has('id_token_hint')).toBe(false);
    expect(leadsTo?.searchParams.get('client_id')).toBe(provider.clientId);
  } finally {
    await discreet.stop();
  }
});

describe('a provider of another kind', () => {
  test('with a long ID token gets it by a form of ours that sends itself (LOG-05)', async () => {
    const verbose = await startMisbehavingProvider();
    Object.assign(verbose.does, {
      idToken: { groups: Array.from({ length: 500 }, (_, index) => `group-${index}`) },
      metadata: { end_session_endpoint: `${verbose.issuer}/logout` },
    });
    const at = await startPostern(verbose);
    try {
      const browser = openBrowser(at);
      await logIn(browser, { issuer: verbose.issuer, visit: (url) => verbose.authorize(url) });
      const page = await browser.step((await logOut(browser)).json().logoutUrl);
      expect(page).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
      expect(page.body).toContain(`<form action="${verbose.issuer}/logout" method="post">`);
      expect(page.body).toMatch(/name="id_token_hint" value="eyJ[^"]{6000,}"/);
      expect(page.headers['content-security-policy']).toContain(`form-action 'self' ${verbose.issuer}`);
      const [, nonce] = /<script nonce="([^"]+)">/.exec(page.body)!;
      expect(page.headers['content-security-policy']).toContain(`'nonce-${nonce}'`);
    } finally {
      await at.stop();
      await verbose.close();
    }
  });

  test('without a logout of its own: local logout only, no error (LOG-06)', async () => {
    const simple = await startMisbehavingProvider();
    simple.does.metadata = { end_session_endpoint: undefined };
    const at = await startPostern(simple);
    try {
      const browser = openBrowser(at);
      await logIn(browser, { issuer: simple.issuer, visit: (url) => simple.authorize(url) });
      const answer = await browser.step((await logOut(browser)).json().logoutUrl);
      expect(answer).toMatchObject({ status: 303, headers: { location: '/' } });
      expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
    } finally {
      await at.stop();
      await simple.close();
    }
  });

  test('that is down keeps nobody logged in here (LOG-01)', async () => {
    const mortal = await startRealProvider();
    const at = await startPostern(mortal);
    try {
      const browser = openBrowser(at);
      await logIn(browser, mortal);
      await mortal.goAway();
      expect((await logOut(browser)).status).toBe(200);
      expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
      await mortal.comeBack();
    } finally {
      await at.stop();
      await mortal.close();
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
    expect(sessionCookie(browser)).toBeDefined();
    expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
    await until(async () => ((await own.command('KEYS', 'postern:{*')) as string[]).length === 0);
  } finally {
    await at.stop();
  }
});

test('a ticket that cannot be stored costs the provider’s logout, not ours', async () => {
  const browser = await signedIn();
  await redis.command('CONFIG', 'SET', 'maxmemory', '1');
  const answer = await logOut(browser);
  await redis.command('CONFIG', 'SET', 'maxmemory', '0');
  expect(answer.status).toBe(200);
  expect(answer.json()).toEqual({ logoutUrl: '/bff/logout/continue' });
  expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
});
