// Both stores, ready for a test that must not know which one it has.
import { createMemoryStore } from '../../src/store/memory.ts';
import { createRedisStore } from '../../src/store/redis.ts';
import type { Store } from '../../src/store/store.ts';
import { eventually } from './eventually.ts';
import type { RedisServer } from './redis.ts';

export interface OpenStore {
  store: Store;
  /** Lets a little time go by on the store's clock: at once where the clock is ours. */
  pause: () => Promise<void>;
  close: () => Promise<void>;
}

/** An embedded store whose clock moves by `pause` only. */
export function openMemoryStore(): OpenStore {
  let clock = 1_750_000_000_000;
  const store = createMemoryStore({ now: () => clock });
  const pause = () => {
    clock += 10;
    return Promise.resolve();
  };
  return { store, pause, close: () => store.close() };
}

/** A store on an emptied Redis, its message connection in place. One at a time. */
export async function openRedisStore(redis: RedisServer): Promise<OpenStore> {
  await redis.command('FLUSHALL');
  const store = createRedisStore({ url: redis.url, now: () => performance.now(), random: Math.random });
  await eventually(() => hasListeners(redis, 1));
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 10));
  const close = async () => {
    await store.close();
    await eventually(() => hasListeners(redis, 0));
  };
  return { store, pause, close };
}

/** Whether so many processes hear the messages. */
export async function hasListeners(redis: RedisServer, count: number): Promise<boolean> {
  return String(await redis.command('PUBSUB', 'NUMSUB', 'postern:messages')) === `postern:messages,${count}`;
}
