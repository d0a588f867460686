// An outage is not a logout: what users meet while the store or the provider is away, and what they have afterwards.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let api: RecordingUpstream;

beforeAll(async () => {
  api = await RecordingUpstream.start();
});
afterAll(() => api.stop());

interface House {
  redis: RedisServer;
  provider: RealProvider;
  postern: LocalPostern;
}

async function inHouse(claim: (house: House) => Promise<void>): Promise<void> {
  // Written to disk at every command: stopping and starting it is an outage, not a loss.
  const redis = await startRedis('--appendonly', 'yes', '--appendfsync', 'always');
  const provider = await startRealProvider();
  const postern = await startPostern(provider, {
    redis: { url: redis.url },
    routes: [
      { path: '/api', upstream: api.url },
      { path: '/optional', upstream: api.url, auth: 'optional' },
      { path: '/public', upstream: api.url, auth: 'none' },
    ],
  });
  try {
    await claim({ redis, provider, postern });
  } finally {
    redis.thaw();
    await postern.stop();
    await provider.close();
    await redis[Symbol.asyncDispose]();
  }
}

// The same way to begin and to end as a stop and a start.
const freeze = (redis: RedisServer): Promise<void> => {
  redis.freeze();
  return Promise.resolve();
};
const thaw = (redis: RedisServer): Promise<void> => {
  redis.thaw();
  return Promise.resolve();
};

async function timed<T>(act: Promise<T>): Promise<T & { tookMs: number }> {
  const watch = startStopwatch();
  const outcome = await act;
  watch.stop();
  return { ...outcome, tookMs: watch.elapsedMs() };
}

/** The promise: five seconds after the store is back, sessions work. */
async function recovers(alice: SignedIn): Promise<void> {
  const { tookMs } = await timed(until(async () => (await alice.call('/api/x')).status === 200));
  expect(tookMs).toBeLessThan(5_000);
}

test.each([
  { outage: 'stopped', begin: (redis: RedisServer) => redis.stop(), end: (redis: RedisServer) => redis.start() },
  {
    outage: 'frozen',
    begin: freeze,
    end: thaw,
  },
])(
  'Redis $outage: 503 within 2 s, the cookie survives, and afterwards the same cookie works within 5 s (SES-17, ST-03, ST-04, S-15)',
  async ({ begin, end }) => {
    await inHouse(async ({ redis, provider, postern }) => {
      const alice = await signIn(postern, provider);
      await begin(redis);
      api.requests.length = 0;
      for (const path of ['/api/x', '/optional/x', '/bff/session']) {
        const answer = await timed(alice.call(path));
        expect([path, answer.status]).toEqual([path, 503]);
        expect(JSON.parse(answer.body)).toMatchObject({ code: 'session_store_unavailable' });
        expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
        expect(answer.headers['set-cookie']).toBeUndefined();
        expect(answer.tookMs).toBeLessThan(2_000);
      }
      expect(api.requests).toEqual([]);
      expect((await alice.call('/public/x')).status).toBe(200);
      await end(redis);
      await recovers(alice);
    });
  },
);

test('a logout while Redis is away answers 503 and keeps the cookie, but the session is refused here at once and gone when Redis is back (SES-08, ST-04)', async () => {
  await inHouse(async ({ redis, provider, postern }) => {
    const alice = await signIn(postern, provider);
    await redis.stop();
    const logout = await alice.call('/bff/logout', { method: 'POST' });
    expect([logout.status, logout.headers['set-cookie']]).toEqual([503, undefined]);
    expect((await alice.call('/api/x')).status).toBe(401);
    await redis.start();
    await until(async () => ((await redis.command('KEYS', 'postern:{*')) as string[]).length === 0);
    expect((await alice.call('/api/x')).status).toBe(401);
  });
});

test('a login while Redis is away fails with 503 and leaves no half of a session (S-14)', async () => {
  await inHouse(async ({ redis, provider, postern }) => {
    await redis.stop();
    await expect(signIn(postern, provider)).rejects.toThrow('503');
    await redis.start();
    await until(async () => {
      const { status } = await fetch(`${postern.operationsUrl}/readyz`);
      return status === 200;
    });
    expect(await redis.command('KEYS', 'postern:{*')).toEqual([]);
  });
});

test('a refresh whose answer comes while Redis is away is kept and written when it is back: the rotated token is not lost (TK-08)', async () => {
  await inHouse(async ({ redis, provider, postern }) => {
    const alice = await signIn(postern, provider);
    const release = provider.endpoints.behaviours.token.hold();
    // Counts as activity and asks at once, without waiting for the token to expire.
    await until(() => {
      void alice.call('/bff/refresh', { method: 'POST' }).catch(() => undefined);
      return provider.endpoints.seen('token', 'refresh_token').length === 1;
    });
    await redis.stop();
    release();
    await until(async () =>
      (await postern.metric('postern_session_store_errors_total')).some((line) => Number(line.split(' ')[1]) > 3),
    );
    await redis.start();
    await until(async () => (await postern.metric('postern_token_refresh_total{outcome="refreshed"} 1')).length === 1);
    expect((await alice.call('/api/x')).status).toBe(200);
    expect(provider.endpoints.seen('token', 'refresh_token')).toHaveLength(1);
  });
});

test('twenty outages in a row leave nothing latched: each is over within 5 s, with one log line a transition (ST-05)', async () => {
  await inHouse(async ({ redis, provider, postern }) => {
    const alice = await signIn(postern, provider);
    for (let cycle = 0; cycle < 20; cycle += 1) {
      await redis.stop();
      expect((await alice.call('/api/x')).status).toBe(503);
      await redis.start();
      await recovers(alice);
    }
    const lines = postern.log.filter((line) => line.includes('the session store is'));
    expect(lines.filter((line) => line.includes('out of reach'))).toHaveLength(20);
    expect(lines.filter((line) => line.includes('is there'))).toHaveLength(21);
  });
}, 240_000);

test('a store or provider that goes away at run time takes no replica out of service: ready, but degraded (ST-06, ST-13)', async () => {
  await inHouse(async ({ redis, provider, postern }) => {
    const ready = async () => {
      const response = await fetch(`${postern.operationsUrl}/readyz`);
      return { status: response.status, body: (await response.json()) as { status: string; parts: unknown } };
    };
    await signIn(postern, provider);
    await until(async () => (await ready()).body.status === 'ready');
    await redis.stop();
    await until(async () => (await ready()).body.status === 'degraded');
    expect(await ready()).toEqual({
      status: 200,
      body: { status: 'degraded', parts: { store: 'down', provider: 'up' } },
    });
    expect(await (await fetch(`${postern.operationsUrl}/metrics`)).text()).toContain(
      'postern_degraded{part="store"} 1',
    );
    expect((await fetch(`${postern.operationsUrl}/livez`)).status).toBe(200);
  });
});

test('a provider that is down when Postern starts delays only logins, and only until it is up (ST-13)', async () => {
  const provider = await startRealProvider();
  await provider.goAway();
  const postern = await startPostern(provider);
  try {
    await expect(signIn(postern, provider)).rejects.toThrow('503');
    expect((await fetch(`${postern.operationsUrl}/readyz`)).status).toBe(200);
    await provider.comeBack();
    await until(
      () =>
        signIn(postern, provider).then(
          () => true,
          () => false,
        ),
      25_000,
    );
  } finally {
    await postern.stop();
    await provider.close();
  }
}, 180_000);
