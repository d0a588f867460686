// The store on Redis while Redis is stopped, frozen or cut off, and how it comes back.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { StoreMessage } from '../../src/store/store.ts';
import type { RedisServer } from '../support/redis.ts';
import { isUp, startRedisStores, timeToFail, type RedisStores } from '../support/redis-stores.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import type { Stopwatch } from '../support/stopwatch.ts';
import { hasListeners, hearing } from '../support/stores.ts';
import { h, login, minute } from '../support/token-record.ts';
import { until } from '../support/until.ts';

let stores: RedisStores;
let redis: RedisServer;
let watch: Stopwatch;
beforeEach(async () => {
  watch = startStopwatch();
  stores = await startRedisStores();
  ({ redis } = stores);
});
afterEach(async () => {
  watch.stop();
  await stores[Symbol.asyncDispose]();
});

describe('an outage is not a logout', () => {
  test('with Redis stopped every operation fails within a second, and none says that there is no session (ST-03, ST-04, SES-17)', async () => {
    const store = await stores.opened();
    await store.put(h, login);
    await redis.stop();
    const attempt = { h, revision: 1, owner: 'a' };
    const operations: (() => Promise<unknown>)[] = [
      () => store.load(h),
      () => store.put(h, login),
      () => store.begin(attempt, minute),
      () => store.commit(attempt, { main: 'x', expiresInMs: 1 }),
      () => store.fail(attempt, 1),
      () => store.endIf(attempt, 'revoked'),
      () => store.end(h, 'logout'),
      () => store.slide(h),
      () => store.readSession(h),
      () => store.writeSession(h, '{}', 60),
      () => store.deleteSession(h),
      () => store.claimOnce('tx:1', 'a', 60),
      () => store.putLogoutTicket('t', 'sealed', 60),
      () => store.takeLogoutTicket('t'),
      () => store.ping(),
    ];
    for (const operation of operations) expect(await timeToFail(operation())).toBeLessThan(1_000);
  });

  test('with Redis frozen every caller is answered within a second, and finds its session again after the thaw (ST-03, ST-05)', async () => {
    const store = await stores.opened();
    await store.put(h, login);
    redis.freeze();
    const times = await Promise.all(Array.from({ length: 100 }, () => timeToFail(store.load(h))));
    expect(Math.max(...times)).toBeLessThan(1_000);
    expect(await timeToFail(store.load(h))).toBeLessThan(1_000);
    redis.thaw();
    await until(isUp(store));
    expect(await store.load(h)).toMatchObject({ main: login.main });
  });

  test('each outage ends without help within five seconds, and is told of once (ST-05)', async () => {
    const states: string[] = [];
    let attempts = 0;
    const random = () => (attempts += 1) && Math.random();
    const store = stores.open({ onStateChange: (state) => states.push(state), random });
    await store.put(h, login);
    for (let cycle = 1; cycle <= 3; cycle += 1) {
      const before = attempts;
      await redis.stop();
      await until(() => attempts >= before + 6);
      await redis.start();
      const from = performance.now();
      await until(isUp(store));
      expect(watch.betweenMs(from, performance.now())).toBeLessThan(5_000);
      expect(await store.load(h)).toMatchObject({ main: login.main });
    }
    expect(states).toEqual(['up', 'down', 'up', 'down', 'up', 'down', 'up']);
  });

  test('a Redis that is not there yet when we start is found when it comes (ST-05)', async () => {
    await redis.stop();
    const states: string[] = [];
    const store = stores.open({ onStateChange: (state) => states.push(state) });
    expect(await timeToFail(store.load(h))).toBeLessThan(1_000);
    await redis.start();
    await until(isUp(store));
    expect(states).toEqual(['down', 'up']);
  });

  test('an outage that is known costs its callers no waiting, and no memory (ST-11)', async () => {
    const states: string[] = [];
    const store = stores.open({ onStateChange: (state) => states.push(state) });
    await store.ping();
    await redis.stop();
    await until(() => states.includes('down'));
    const from = performance.now();
    for (let i = 0; i < 100; i += 1) await timeToFail(store.load(h));
    expect(watch.betweenMs(from, performance.now())).toBeLessThan(500);
  });

  test('a command whose connection breaks has failed, at once, and is not sent again (ST-02)', async () => {
    const store = await stores.opened();
    await store.ping();
    redis.freeze();
    const failing = timeToFail(store.claimOnce('tx:1', 'gone', 60));
    await redis.stop();
    expect(await failing).toBeLessThan(300);
    await redis.start();
    await until(isUp(store));
    expect(await store.claimOnce('tx:1', 'here', 60)).toBe(true);
  });

  test('messages flow again after it, from other processes too', async () => {
    const [here, there] = [stores.open(), stores.open()];
    const heard: StoreMessage[] = [];
    here.subscribe(hearing((message) => heard.push(message)));
    await here.put(h, login);
    await redis.stop();
    await redis.start();
    await until(() => hasListeners(redis, 2));
    await until(isUp(there));
    await there.end(h, 'logout');
    await until(() => heard.length > 0);
    expect(heard).toEqual([{ what: 'ended', h, reason: 'logout' }]);
  });
});

describe('nothing is begun where a takeover could be a mistake', () => {
  test('a first connection is settled at once, one that was lost two seconds after it is back', async () => {
    let clock = 0;
    const store = stores.open({ now: () => clock });
    expect(store.settled()).toBe(false);
    await store.ping();
    expect(store.settled()).toBe(true);
    await redis.stop();
    await until(() => !store.settled());
    await redis.start();
    await until(isUp(store));
    expect(store.settled()).toBe(false);
    clock = 1_999;
    expect(store.settled()).toBe(false);
    clock = 2_000;
    expect(store.settled()).toBe(true);
  });

  test('a process that starts in an outage waits as well', async () => {
    await redis.stop();
    let clock = 0;
    const store = stores.open({ now: () => clock });
    await timeToFail(store.ping());
    await redis.start();
    await until(isUp(store));
    expect(store.settled()).toBe(false);
    clock = 2_000;
    expect(store.settled()).toBe(true);
  });
});
