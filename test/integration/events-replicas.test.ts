// /bff/events on several replicas: what happens to a session on one is heard on all, and an outage of the store closes nothing.
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { openEvents } from '../support/event-stream.ts';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { newSessionKey, startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { hasListeners } from '../support/stores.ts';
import { expireToken } from '../support/token-age.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let provider: RealProvider;
let redis: RedisServer;
let upstream: RecordingUpstream;
let link: FaultProxy;
/** `near` talks to Redis directly, `far` over a link that can be broken. */
let near: LocalPostern;
let far: LocalPostern;

beforeAll(async () => {
  [provider, redis] = await Promise.all([startRealProvider(), startRedis()]);
  upstream = await RecordingUpstream.start();
});
beforeEach(async () => {
  await redis.command('FLUSHALL');
  link = await startFaultProxy(redis);
  const shared = {
    session: { keys: [newSessionKey()], idleTimeout: '1m', absoluteTimeout: '10m' },
    routes: [{ path: '/api', upstream: upstream.url }],
  };
  near = await startPostern(provider, { ...shared, redis: { url: redis.url } });
  far = await startPostern(provider, {
    ...shared,
    redis: { url: `redis://127.0.0.1:${link.port}` },
    publicUrl: near.publicUrl,
    listen: '127.0.0.1:0',
  });
  await until(() => hasListeners(redis, 2));
});
afterEach(async () => {
  link.heal();
  await Promise.all([near.stop(), far.stop()]);
  await link.close();
});
afterAll(async () => {
  await upstream.stop();
  await provider.close();
  await redis[Symbol.asyncDispose]();
});

const logOut = (user: SignedIn, on: LocalPostern) => user.call('/bff/logout', { method: 'POST', on });

test('a logout on one replica closes the streams on every replica within a second (CS-13)', async () => {
  const alice = await signIn(near, provider);
  const streams = await Promise.all([near, far, far].map((on) => openEvents(alice, on)));
  const watch = startStopwatch();
  expect((await logOut(alice, near)).status).toBe(200);
  for (const stream of streams) {
    await stream.ended();
    expect(watch.elapsedMs(stream.endedAt)).toBeLessThan(1_000);
    expect(stream.events).toMatchObject([{ name: 'ended', data: { reason: 'logout' } }]);
  }
  watch.stop();
});

test('a refresh and a revocation on one replica are heard on the other', async () => {
  const alice = await signIn(near, provider);
  const stream = await openEvents(alice, far);
  await expireToken(alice, redis, [near, far]);
  expect((await alice.call('/api/x', { on: near })).status).toBe(200);
  await stream.heard('refreshed');
  expect(stream.endedAt).toBeUndefined();

  provider.forgetGrants();
  await expireToken(alice, redis, [near, far]);
  expect((await alice.call('/api/x', { on: near })).status).toBe(401);
  await stream.ended();
  expect(stream.events.at(-1)).toMatchObject({ name: 'ended', data: { reason: 'revoked' } });
});

test('activity on one replica puts off the end that the other one has in mind, though nothing announces it', async () => {
  const alice = await signIn(near, provider);
  // As if the minute had nearly passed: the far replica sees an end within seconds.
  const [key] = (await redis.command('KEYS', 'postern:{*:tokens')) as [string];
  await redis.command('PEXPIRE', key, 4_500);
  const stream = await openEvents(alice, far);
  expect((await stream.heard('expiring')).data).toEqual({ reason: 'idle', expiresIn: expect.any(Number) });
  expect((await alice.call('/api/x', { on: near })).status).toBe(200);
  await until(async () => Number(await redis.command('PTTL', key)) > 50_000);
  const later = performance.now() + 5_000;
  await until(() => performance.now() > later);
  expect(stream.endedAt).toBeUndefined();
  stream.abort();
});

test('an outage of the store closes no stream; a logout that a replica could not hear closes its streams when the store is back (ST-06)', async () => {
  const [alice, bob] = [await signIn(near, provider), await signIn(near, provider, 'bob')];
  const [hers, his] = [await openEvents(alice, far), await openEvents(bob, far)];
  link.cut();
  expect((await logOut(alice, near)).status).toBe(200);
  const refused = await openEvents(bob, far);
  expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '2' } });
  // Long enough for the far replica to have asked in vain.
  const healAt = performance.now() + 4_000;
  await until(() => performance.now() > healAt);
  expect([hers.endedAt, his.endedAt]).toEqual([undefined, undefined]);
  link.heal();
  await hers.ended();
  expect(hers.events).toMatchObject([{ name: 'ended', data: { reason: 'unknown' } }]);
  expect((await openEvents(bob, far)).status).toBe(200);
  expect(his).toMatchObject({ events: [], endedAt: undefined });
  his.abort();
});

test('a caller who hangs up while the store is being asked leaves no stream behind', async () => {
  const [alice, bob] = [await signIn(near, provider), await signIn(near, provider, 'bob')];
  const head = [
    'GET /bff/events HTTP/1.1',
    `Host: ${new URL(far.publicUrl).host}`,
    `Cookie: ${alice.cookie}`,
    'Sec-Fetch-Site: same-origin',
  ].join('\r\n');
  link.delay(100);
  for (let caller = 0; caller < 5; caller += 1) {
    const socket = connect(Number(new URL(far.address).port), '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(`${head}\r\n\r\n`, () => socket.resetAndDestroy());
    await once(socket, 'close');
  }
  // The store answers in order: with Bob's answer, theirs have been given.
  const stream = await openEvents(bob, far);
  expect(stream.status).toBe(200);
  expect(await far.metric('postern_event_streams ')).toEqual(['postern_event_streams 1']);
  stream.abort();
});
