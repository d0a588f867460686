// A shutdown in the middle of refreshes: it waits for tokens that exist nowhere else, for a time that has an end.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { newSessionKey, startPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { expireToken } from '../support/token-age.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let redis: RedisServer;
let provider: RealProvider;
let api: RecordingUpstream;
beforeEach(async () => {
  [redis, provider, api] = await Promise.all([startRedis(), startRealProvider(), RecordingUpstream.start()]);
});
afterEach(() => Promise.all([redis[Symbol.asyncDispose](), provider.close(), api.stop()]));

const refreshes = () => provider.endpoints.seen('token', 'refresh_token').length;

test('a replica that waits for the refresh of another does not wait for it in order to end (ST-20)', async () => {
  const shared = {
    redis: { url: redis.url },
    session: { keys: [newSessionKey()] },
    routes: [{ path: '/api', upstream: api.url }],
  };
  const first = await startPostern(provider, shared);
  const second = await startPostern(provider, { ...shared, publicUrl: first.publicUrl, listen: '127.0.0.1:0' });
  const alice = await signIn(first, provider);
  await expireToken(alice, redis, [first, second]);
  const release = provider.endpoints.behaviours.token.hold();
  const begun = alice.call('/api/x', { on: first });
  await until(() => refreshes() === 1);
  const waiting = alice.call('/api/x', { on: second }).catch(() => undefined);
  const operations = 'postern_session_store_operation_duration_seconds_count';
  await until(async () => (await second.metric(operations)).some((line) => line.includes('"begin"')));
  const watch = startStopwatch();
  await second.stop();
  expect(watch.elapsedMs()).toBeLessThan(6_000);
  watch.stop();
  await waiting;
  // The one that refreshes keeps what it gets: its shutdown waits.
  const stopping = first.stop();
  release();
  await stopping;
  expect(first.log.filter((line) => line.includes('refreshes are given up'))).toEqual([]);
  await begun.catch(() => undefined);
  const [key] = (await redis.command('KEYS', 'postern:*:tokens')) as string[];
  expect(await redis.command('HGET', key!, 'revision')).toBe('2');
}, 180_000);

test('rotated tokens that the store does not take hold a shutdown up for 25 seconds, and no longer (ST-20)', async () => {
  const link = await startFaultProxy(redis);
  const postern = await startPostern(provider, {
    redis: { url: `redis://127.0.0.1:${link.port}` },
    routes: [{ path: '/api', upstream: api.url }],
  });
  try {
    const alice = await signIn(postern, provider);
    await expireToken(alice, redis, [postern]);
    const release = provider.endpoints.behaviours.token.hold();
    alice.call('/api/x').catch(() => undefined);
    await until(() => refreshes() === 1);
    link.cut();
    release();
    const since = performance.now();
    const watch = startStopwatch();
    await postern.stop();
    expect(performance.now() - since).toBeGreaterThan(20_000);
    expect(watch.elapsedMs()).toBeLessThan(32_000);
    watch.stop();
    expect(postern.log.filter((line) => line.includes('refreshes are given up'))).toHaveLength(1);
  } finally {
    await link.close();
  }
}, 180_000);
