import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openBrowser, signedInBrowser, whoAmI } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { startInstallation } from '../support/installation.ts';
import type { Installation } from '../support/installation.ts';
import type { LocalPostern } from '../support/postern.ts';
import type { RealProvider } from '../support/real-provider.ts';
import type { RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';

let place: Installation;
let provider: RealProvider;
let redis: RedisServer;
let postern: LocalPostern;

beforeAll(async () => {
  place = await startInstallation();
  ({ provider, redis, postern } = place);
});

afterAll(() => place[Symbol.asyncDispose]());

async function signedIn(): Promise<Browser> {
  await redis.command('FLUSHALL');
  return signedInBrowser(postern, provider);
}

const refresh = (browser: Browser, headers: Record<string, string> = {}) =>
  browser.fetch('/bff/refresh', { method: 'POST', headers });
const refreshes = (): number => provider.endpoints.seen('token', 'refresh_token').length;
const tokensKey = async (): Promise<string> => ((await redis.command('KEYS', 'postern:{*:tokens')) as string[])[0]!;

/** As if the last refresh had been so long ago. */
async function age(ms: number): Promise<void> {
  const key = await tokensKey();
  for (const field of ['refreshedAt', 'expiresAt']) {
    const value = Number(await redis.command('HGET', key, field));
    if (value > 0) await redis.command('HSET', key, field, value - ms);
  }
}

test('an app that asks gets new tokens and the same answer as from the session endpoint', async () => {
  const browser = await signedIn();
  await age(10_000);
  const before = refreshes();
  const answer = await refresh(browser);
  expect(answer.status).toBe(200);
  expect(refreshes()).toBe(before + 1);
  const { session: spans, ...who } = answer.json();
  const { session: later, ...same } = await whoAmI(browser);
  expect(who).toEqual(same);
  expect(Object.keys(spans).sort()).toEqual(Object.keys(later).sort());
  expect(spans.accessTokenExpiresIn).toBeGreaterThan(200);
});

test('within five seconds of the last one it just answers, however often it is asked', async () => {
  const browser = await signedIn();
  // Four seconds that a slow machine may take.
  await age(-4_000);
  const before = refreshes();
  const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(browser)));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
  expect(refreshes()).toBe(before);
});

test('a refresh that an app asks for counts as activity', async () => {
  const browser = await signedIn();
  const key = await tokensKey();
  await redis.command('PEXPIRE', key, 60_000);
  await refresh(browser);
  await until(async () => Number(await redis.command('PTTL', key)) > 1_000_000);
});

test('no cookie of ours, or one we did not sign: session_required, with the way to log in (PRX-20)', async () => {
  for (const headers of [{}, { cookie: `postern-${new URL(postern.publicUrl).port}=nonsense` }]) {
    const answer = await refresh(openBrowser(postern), headers);
    expect([answer.status, answer.setCookies]).toEqual([401, []]);
    expect(answer.json()).toMatchObject({ code: 'session_required', loginUrl: '/bff/login' });
    expect(answer.headers['location']).toBeUndefined();
  }
});

test('a session that is gone: session_expired, and the cookie stays where it is', async () => {
  const browser = await signedIn();
  await redis.command('FLUSHALL');
  const answer = await refresh(browser);
  expect([answer.status, answer.json().code, answer.setCookies]).toEqual([401, 'session_expired', []]);
});

test('a grant that is gone ends the session', async () => {
  const browser = await signedIn();
  await age(10_000);
  provider.forgetGrants();
  expect((await refresh(browser)).json()).toMatchObject({ status: 401, code: 'session_expired' });
  expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
});

test('other sites cannot make us refresh (CSRF-02, CSRF-04)', async () => {
  const browser = await signedIn();
  await age(10_000);
  const before = refreshes();
  for (const headers of [
    { 'sec-fetch-site': 'cross-site' },
    { origin: 'null' },
    { 'sec-fetch-site': 'same-site' },
  ] as Record<string, string>[]) {
    const answer = await refresh(browser, headers);
    expect([answer.status, answer.json().code]).toEqual([403, 'csrf_rejected']);
  }
  expect(refreshes()).toBe(before);
});

test('a GET refreshes nothing', async () => {
  const answer = await (await signedIn()).fetch('/bff/refresh');
  expect([answer.status, answer.headers['allow']]).toEqual([405, 'POST']);
});
