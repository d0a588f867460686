// Every store, ready for a test that must not know which one it has.
import { createMemoryStore } from '../../src/store/memory.ts';
import { createRedisStore } from '../../src/store/redis.ts';
import type { RedisSettings } from '../../src/store/redis-settings.ts';
import type { Store, StoreListener, StoreMessage } from '../../src/store/store.ts';
import { aclUser, makeAclUser } from './documented-acl.ts';
import { until } from './until.ts';
import type { RedisCluster } from './redis-cluster.ts';
import type { SentinelGroup } from './redis-sentinel.ts';
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
export function openRedisStore(redis: RedisServer): Promise<OpenStore> {
  return openStore({ settings: { url: redis.url }, servers: [redis], empty: () => redis.command('FLUSHALL') });
}

/** The same on a Sentinel group, as the user that docs/redis.md gives. */
export async function openSentinelStore(group: SentinelGroup): Promise<OpenStore> {
  const { name, sentinels, servers } = group;
  await makeAclUser(servers);
  const settings = { ...aclUser, sentinel: { name, nodes: sentinels } };
  return openStore({ settings, servers, empty: async () => (await group.primary()).command('FLUSHALL') });
}

/** The same on a Cluster, as the user that docs/redis.md gives. */
export async function openClusterStore(cluster: RedisCluster): Promise<OpenStore> {
  const { nodes, servers } = cluster;
  await makeAclUser(servers);
  const empty = () => cluster.onMasters('FLUSHALL');
  return openStore({ settings: { ...aclUser, cluster: { nodes } }, servers, empty });
}

async function openStore(place: {
  settings: RedisSettings;
  servers: RedisServer[];
  empty: () => Promise<unknown>;
}): Promise<OpenStore> {
  const { settings, servers, empty } = place;
  await empty();
  const store = createRedisStore({ ...settings, now: () => performance.now(), random: Math.random });
  await until(() => answers(store));
  await until(async () => (await countListeners(servers)) === 1);
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 10));
  const close = async () => {
    await store.close();
    await until(async () => (await countListeners(servers)) === 0);
  };
  return { store, pause, close };
}

function answers(store: Store): Promise<boolean> {
  return store.ping().then(
    () => true,
    () => false,
  );
}

async function countListeners(servers: RedisServer[]): Promise<number> {
  const asked = servers.map((server) => server.command('PUBSUB', 'NUMSUB', 'postern:messages'));
  const counts = (await Promise.all(asked)) as [string, number][];
  return counts.reduce((sum, [, count]) => sum + count, 0);
}

/** Whether so many processes hear the messages. */
export async function hasListeners(redis: RedisServer, count: number): Promise<boolean> {
  return String(await redis.command('PUBSUB', 'NUMSUB', 'postern:messages')) === `postern:messages,${count}`;
}

/** A subscriber that cares about messages only. */
export function hearing(message: (message: StoreMessage) => unknown): StoreListener {
  return { message: (heard) => void message(heard), silence: () => undefined, reconnect: () => undefined };
}
