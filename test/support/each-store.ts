// What every store promises is claimed of each: the embedded one, and a real Redis and a real Valkey of each kind. No claim knows which it is about.
import { afterAll, afterEach, beforeAll, describe } from '@jest/globals';
import type { LoadedRecord } from '../../src/store/store.ts';
import { describeOn } from './describe-on.ts';
import { launchRedis, redisProgram, valkeyProgram, type RedisServer, type ServerProgram } from './redis.ts';
import { startRedisCluster, type RedisCluster } from './redis-cluster.ts';
import { startSentinelGroup, type SentinelGroup } from './redis-sentinel.ts';
import { openClusterStore, openMemoryStore, openRedisStore, openSentinelStore, type OpenStore } from './stores.ts';
import { until } from './until.ts';

/** An open store, and the name of a session that no other test has. */
export interface StoreUnderTest extends OpenStore {
  h: string;
  /** Waits on the store's clock. */
  soon(check: () => boolean | Promise<boolean>): Promise<void>;
  /** The record of `h`, which must be there. */
  loaded(): Promise<LoadedRecord>;
}

/** Makes the claims of each store. What `open` opens is closed after its test. */
export function describeEachStore(claims: (open: () => Promise<StoreUnderTest>) => void): void {
  describe('the memory store', () => promise(() => Promise.resolve(openMemoryStore()), claims));
  for (const program of [redisProgram, valkeyProgram])
    describeOn(`on ${program.name}`, program.absence, () => describeServers(program, claims));
}

type Claims = Parameters<typeof describeEachStore>[0];

function describeServers({ name, path: program }: ServerProgram, claims: Claims): void {
  let server: RedisServer;
  let group: SentinelGroup;
  let cluster: RedisCluster;
  beforeAll(async () => {
    const starts = [launchRedis({ program }), startSentinelGroup({ program }), startRedisCluster({ program })] as const;
    [server, group, cluster] = await Promise.all(starts);
  }, 180_000);
  afterAll(async () => {
    for (const place of [server, group, cluster]) await place[Symbol.asyncDispose]();
  });

  describe(`the ${name} store`, () => promise(() => openRedisStore(server), claims));
  describe(`the ${name} Sentinel store`, () => promise(() => openSentinelStore(group), claims));
  describe(`the ${name} Cluster store`, () => promise(() => openClusterStore(cluster), claims));
}

function promise(open: () => Promise<OpenStore>, claims: Claims): void {
  let opened: OpenStore;
  afterEach(() => opened.close());
  claims(async () => {
    opened = await open();
    const { store, pause } = opened;
    const h = `hash-${Math.random()}`;
    return {
      ...opened,
      h,
      soon: (check) => until(check, 20_000, pause),
      async loaded() {
        const record = await store.load(h);
        if (record === null || record === 'unreadable') throw new Error(`no record: ${String(record)}`);
        return record;
      },
    };
  });
}
