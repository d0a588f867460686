// How long a session lives, over HTTP and on a real Redis: idle, absolute, and no longer than the refresh token.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { logIn, openBrowser, whoAmI } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startGate } from '../support/gate.ts';
import { newSessionKey, startPostern } from '../support/postern.ts';
import type { ConfigInput } from '../support/postern.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let provider: MisbehavingProvider;
let redis: RedisServer;
let api: RecordingUpstream;

beforeAll(async () => {
  [provider, redis] = await Promise.all([startMisbehavingProvider(), startRedis()]);
  api = await RecordingUpstream.start();
});
afterAll(async () => {
  await provider.close();
  await redis[Symbol.asyncDispose]();
  await api.stop();
});

/** How long ago the login was: from when it had not begun, and from when it had been answered, less what the machine let nobody run for. */
interface Age {
  atMostMs(): number;
  atLeastMs(): number;
}

/** Somebody signed in at a Postern with these lifetimes. */
async function withSession(session: ConfigInput, claim: (browser: Browser, age: Age) => Promise<void>): Promise<void> {
  await redis.command('FLUSHALL');
  const postern = await startPostern(provider, {
    redis: { url: redis.url },
    session: { keys: [newSessionKey()], ...session },
    routes: [{ path: '/api', upstream: api.url }],
  });
  const watch = startStopwatch();
  try {
    const browser = openBrowser(postern);
    const beganAt = performance.now();
    await logIn(browser, { issuer: provider.issuer, visit: (url) => provider.authorize(url) });
    const signedInAt = performance.now();
    await claim(browser, {
      atMostMs: () => performance.now() - beganAt,
      atLeastMs: () => watch.betweenMs(signedInAt, performance.now()),
    });
  } finally {
    watch.stop();
    await postern.stop();
  }
}

const call = async (browser: Browser): Promise<number> => (await browser.fetch('/api/x')).status;
const sessionKeys = async (): Promise<string[]> => (await redis.command('KEYS', 'postern:{*')) as string[];

test('a session that is only asked about ends when the idle time is over, however often it is asked (SES-05, SES-07)', async () => {
  await withSession({ idleTimeout: '2s' }, async (browser, age) => {
    expect(await call(browser)).toBe(200);
    await until(async () => !(await whoAmI(browser)).authenticated);
    expect(age.atLeastMs()).toBeLessThan(3_500);
    const answer = await browser.fetch('/api/x');
    expect([answer.status, answer.json().code, answer.setCookies]).toEqual([401, 'session_expired', []]);
  });
});

test('activity keeps a session beyond the idle time and ends nothing early (SES-05)', async () => {
  await withSession({ idleTimeout: '3s' }, async (browser, age) => {
    await until(async () => {
      expect(await call(browser)).toBe(200);
      return age.atLeastMs() > 4_000;
    });
  });
});

test('no activity takes a session beyond the absolute time (SES-06, S-23)', async () => {
  await withSession({ idleTimeout: '3s', absoluteTimeout: '4s' }, async (browser, age) => {
    await until(async () => (await call(browser)) === 401);
    // The last activity that is written down may be a tenth of the idle time before the last there was.
    expect(age.atMostMs()).toBeGreaterThan(3_600);
    expect(age.atLeastMs()).toBeLessThan(5_500);
  });
});

test('a session whose keys were made to last for ever in Redis still ends at its absolute time (S-23)', async () => {
  await withSession({ idleTimeout: '1s', absoluteTimeout: '1s' }, async (browser, age) => {
    for (const key of await sessionKeys()) await redis.command('PERSIST', key);
    await until(async () => (await call(browser)) === 401);
    expect(age.atLeastMs()).toBeLessThan(2_500);
  });
});

test('a session lives no longer than the refresh token, where the provider says how long that is (BFF-09)', async () => {
  provider.does.tokenResponse = { refresh_expires_in: 60, refresh_token: 'TOKCANARY-refresh' };
  try {
    await withSession({ idleTimeout: '30m', absoluteTimeout: '12h' }, async (browser) => {
      const { session } = await whoAmI(browser);
      expect(session.expiresIn).toBeGreaterThan(50);
      expect(session.expiresIn).toBeLessThanOrEqual(60);
    });
  } finally {
    delete provider.does.tokenResponse;
  }
});

test('without a refresh token a session lives as long as its access token (BFF-09)', async () => {
  provider.does.tokenResponse = { refresh_token: undefined, expires_in: 90 };
  try {
    await withSession({}, async (browser) => {
      const { session } = await whoAmI(browser);
      expect(session.expiresIn).toBeGreaterThan(80);
      expect(session.expiresIn).toBeLessThanOrEqual(90);
    });
  } finally {
    delete provider.does.tokenResponse;
  }
});

test('how long before its expiry a token is refreshed is asked for at each call, so that a reload changes it for the sessions there are', async () => {
  let [nowMs, refreshBeforeMs, refreshes] = [Date.now(), 60_000, 0];
  const gate = await startGate(
    { routes: [{ path: '/api', upstream: api.url }] },
    {
      now: () => nowMs,
      refreshBeforeMs: () => refreshBeforeMs,
      refreshTokens: () => {
        refreshes += 1;
        return Promise.resolve({
          kind: 'unavailable',
          sent: true,
          answered: true,
          retryAfterMs: undefined,
          cause: 503,
        });
      },
    },
  );
  try {
    const headers = { host: gate.host, cookie: await gate.signIn(), 'sec-fetch-site': 'same-origin' };
    const callOnce = async (): Promise<number> => {
      const answer = await request(`${gate.address}/api/x`, { headers });
      await answer.body.dump();
      return answer.statusCode;
    };
    // Two minutes before the token's hour is over, and never idle for half of it.
    for (const calls of [1, 2]) {
      nowMs += 1_740_000;
      expect(await callOnce()).toBe(200);
      await until(() => gate.slides() === calls);
    }
    expect(refreshes).toBe(0);
    refreshBeforeMs = 180_000;
    expect(await callOnce()).toBe(200);
    await until(() => refreshes === 1);
  } finally {
    await gate.stop();
  }
});
