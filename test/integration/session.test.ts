import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { logIn, openBrowser, sessionCookieOf, signedInBrowser, whoAmI } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { startInstallation } from '../support/installation.ts';
import type { Installation } from '../support/installation.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';

let place: Installation;
let provider: RealProvider;
let redis: RedisServer;
let postern: LocalPostern;

beforeAll(async () => {
  place = await startInstallation();
  ({ provider, redis, postern } = place);
});

afterAll(() => place[Symbol.asyncDispose]());

const nobody = { authenticated: false, loginUrl: '/bff/login' };
const signedIn = (at = postern): Promise<Browser> => signedInBrowser(at, provider);

/** A browser that presents a cookie of somebody else's choosing. */
function presenting(value: string): Browser {
  const browser = openBrowser(postern);
  browser.jar.store(new URL(postern.publicUrl), `postern-${new URL(postern.publicUrl).port}=${value}; Path=/`);
  return browser;
}

test('a stranger is told that nobody is signed in and where to log in (BFF-04)', async () => {
  const answer = await openBrowser(postern).fetch('/bff/session');
  expect(answer).toMatchObject({
    status: 200,
    setCookies: [],
    headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store', vary: 'Cookie' },
  });
  expect(answer.json()).toEqual(nobody);
});

test('a signed-in app learns who, by which handle and for how long, and nothing else (BFF-04, HDR-02, S-03)', async () => {
  const browser = await signedIn();
  const answer = await browser.fetch('/bff/session');
  const h = createHash('sha256')
    .update(
      decodeURIComponent(browser.jar.get(sessionCookieOf(browser)!)!.value)
        .slice(2)
        .split('.')[0]!,
    )
    .digest('base64url');
  expect(answer).toMatchObject({
    status: 200,
    setCookies: [],
    headers: { 'cache-control': 'no-store', vary: 'Cookie' },
  });
  expect(answer.json()).toEqual({
    authenticated: true,
    provider: 'default',
    user: {
      sub: 'alice',
      name: 'Alice Example',
      given_name: 'Alice',
      email: 'alice@example.test',
      email_verified: true,
    },
    session: {
      handle: createHash('sha256').update('handle').update(h).digest().subarray(0, 16).toString('base64url'),
      idleExpiresIn: expect.any(Number),
      expiresIn: expect.any(Number),
      accessTokenExpiresIn: expect.any(Number),
    },
  });
  const { session } = answer.json();
  expect(
    [session.idleExpiresIn, session.expiresIn, session.accessTokenExpiresIn].map(
      (span: number) => Math.ceil(span / 10) * 10,
    ),
  ).toEqual([1800, 43200, 300]);
  expect(answer.body).not.toContain(h);
});

test('the app is shown the claims that the configuration names, and sub', async () => {
  const few = await startPostern(provider, {
    session: { keys: ['a'.repeat(43) + '='], claims: ['email', 'iss', 'nothing', '__proto__'] },
  });
  try {
    const { user } = await whoAmI(await signedIn(few));
    expect(user).toEqual({ sub: 'alice', email: 'alice@example.test', iss: provider.issuer });
  } finally {
    await few.stop();
  }
});

test('a token whose lifetime nobody knows has no countdown (OA-14)', async () => {
  const terse = await startMisbehavingProvider();
  terse.does.tokenResponse = { expires_in: undefined };
  const at = await startPostern(terse);
  try {
    const browser = openBrowser(at);
    await logIn(browser, { issuer: terse.issuer, visit: (url) => terse.authorize(url) });
    expect(Object.keys((await whoAmI(browser)).session).sort()).toEqual(['expiresIn', 'handle', 'idleExpiresIn']);
  } finally {
    await at.stop();
    await terse.close();
  }
});

test('asking neither refreshes nor keeps the session alive (SES-07)', async () => {
  const browser = await signedIn();
  const keys = (await redis.command('KEYS', 'postern:{*')) as string[];
  await Promise.all(keys.map((key) => redis.command('PEXPIRE', key, 900_000)));
  const before = provider.endpoints.seen('token').length;
  for (let poll = 0; poll < 5; poll += 1) expect((await whoAmI(browser)).session.idleExpiresIn).toBeLessThan(901);
  for (const key of keys) expect(Number(await redis.command('PTTL', key))).toBeLessThanOrEqual(900_000);
  expect(provider.endpoints.seen('token')).toHaveLength(before);
});

test('a session whose record is gone is nobody, and its cookie stays where it is (SES-04)', async () => {
  const browser = await signedIn();
  await redis.command('FLUSHALL');
  const answer = await browser.fetch('/bff/session');
  expect([answer.json(), answer.setCookies]).toEqual([nobody, []]);
});

test.each([
  ['nonsense', 'nonsense'],
  ['an unsigned id', `s%3A${'a'.repeat(43)}`],
  ['a wrong signature', `s%3A${'a'.repeat(43)}.${'b'.repeat(43)}`],
  ['a value that cannot be decoded', '%'],
  ['4 KB', 'x'.repeat(4000)],
])('a cookie of %s is nobody, never an error (CK-13, S-17)', async (_what, value) => {
  const answer = await presenting(value).fetch('/bff/session');
  expect([answer.status, answer.json(), answer.setCookies]).toEqual([200, nobody, []]);
});

test('a duplicate session cookie is no session, and a login still works (CK-12)', async () => {
  const browser = await signedIn();
  const name = sessionCookieOf(browser)!;
  const value = browser.jar.get(name)!.value;
  const twice = await openBrowser(postern).fetch('/bff/session', {
    headers: { cookie: `${name}=${value}; ${name}=evil` },
  });
  expect(twice.json()).toEqual(nobody);
});

test('records that cannot be read are nobody and stay in the store (S-17)', async () => {
  const browser = await signedIn();
  for (const key of (await redis.command('KEYS', 'postern:{*:tokens')) as string[])
    await redis.command('HSET', key, 'main', '9.unknown.format');
  expect(await whoAmI(browser)).toEqual(nobody);
  expect(await redis.command('KEYS', 'postern:{*:tokens')).not.toEqual([]);
});

test('when the store is away the answer is 503, not "signed out", and the same cookie works afterwards (SES-17, S-15)', async () => {
  await using own = await startRedis();
  const at = await startPostern(provider, { redis: { url: own.url } });
  try {
    const browser = await signedIn(at);
    await own.command('CLIENT', 'KILL', 'TYPE', 'normal');
    own.freeze();
    const answer = await browser.fetch('/bff/session');
    own.thaw();
    expect(answer).toMatchObject({
      status: 503,
      setCookies: [],
      headers: { 'content-type': 'application/problem+json; charset=utf-8', 'retry-after': '2' },
    });
    expect(answer.json()).toMatchObject({ code: 'session_store_unavailable' });
    let again = await browser.fetch('/bff/session');
    for (let tries = 0; again.status === 503 && tries < 200; tries += 1) again = await browser.fetch('/bff/session');
    expect(again.json()).toMatchObject({ authenticated: true });
  } finally {
    await at.stop();
  }
});

describe('the cross-site rule', () => {
  test.each(['https://evil.example', 'null'])(
    'a page on %s learns nothing (CSRF-03, CSRF-04, CS-02)',
    async (origin) => {
      const browser = await signedIn();
      const headers = {
        cookie: browser.jar.headerFor(new URL(postern.publicUrl), { isSameSite: true, isTopLevelRead: true }),
        origin,
      };
      const answer = await browser.fetch('/bff/session', { from: 'https://evil.example', headers });
      expect([answer.status, answer.json().code]).toEqual([403, 'csrf_rejected']);
      for (const name of Object.keys(answer.headers)) expect(name).not.toMatch(/^access-control-/);
    },
  );

  test('a sibling of ours, same-site but not us, is refused too (CSRF-05, CS-02)', async () => {
    const browser = await signedIn();
    const { status } = await browser.fetch('/bff/session', {
      headers: { 'sec-fetch-site': 'same-site', origin: 'http://localhost:1' },
    });
    expect(status).toBe(403);
  });

  test('it asks about cookies that are there, valid or not, and about no others', async () => {
    const foreign = { 'sec-fetch-site': 'cross-site' };
    expect((await presenting('nonsense').fetch('/bff/session', { headers: foreign })).status).toBe(403);
    expect((await openBrowser(postern).fetch('/bff/session', { headers: foreign })).status).toBe(200);
  });

  test('a preflight is answered without a word that would allow anything (CSRF-06, CS-03)', async () => {
    const answer = await openBrowser(postern).fetch('/bff/session', {
      method: 'OPTIONS',
      from: 'https://evil.example',
      headers: { 'access-control-request-method': 'GET' },
    });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    for (const name of Object.keys(answer.headers)) expect(name).not.toMatch(/^access-control-/);
  });
});
