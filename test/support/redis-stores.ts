// Stores on one Redis that writes everything to disk: stopped and started again, it still has it.
import { expect } from '@jest/globals';
import { createRedisStore, type RedisStoreOptions } from '../../src/store/redis.ts';
import { StoreUnavailable, type Store } from '../../src/store/store.ts';
import { startRedis, type RedisServer } from './redis.ts';
import { startStopwatch } from './stopwatch.ts';
import { until } from './until.ts';

export interface RedisStores {
  redis: RedisServer;
  open(options?: Partial<RedisStoreOptions>): Store;
  /** The same, and its connection stands: the first caller does not wait long for it. */
  opened(options?: Partial<RedisStoreOptions>): Promise<Store>;
  /** Every store of these is closed as well. */
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startRedisStores(): Promise<RedisStores> {
  const redis = await startRedis('--appendonly', 'yes', '--appendfsync', 'always');
  const stores: Store[] = [];
  function open(options: Partial<RedisStoreOptions> = {}): Store {
    const store = createRedisStore({ url: redis.url, now: () => performance.now(), random: Math.random, ...options });
    stores.push(store);
    return store;
  }
  return {
    redis,
    open,
    async opened(options) {
      const store = open(options);
      await until(isUp(store));
      return store;
    },
    async [Symbol.asyncDispose]() {
      redis.thaw();
      await Promise.all(stores.map((store) => store.close()));
      await redis[Symbol.asyncDispose]();
    },
  };
}

/** Whether a store answers, for `until`. */
export const isUp = (store: Store) => () =>
  store.ping().then(
    () => true,
    () => false,
  );

/** Ms until what was asked of a store has failed as an outage does. */
export async function timeToFail(asked: Promise<unknown>): Promise<number> {
  const watch = startStopwatch();
  try {
    await expect(asked).rejects.toThrow(StoreUnavailable);
    return watch.elapsedMs();
  } finally {
    watch.stop();
  }
}
