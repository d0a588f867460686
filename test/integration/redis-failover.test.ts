// Sentinel and Cluster under a whole Postern: one refresh, and the death of a primary that logs nobody out.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRedisStore } from '../../src/store/redis.ts';
import type { RedisSettings } from '../../src/store/redis-settings.ts';
import { describeOn } from '../support/describe-on.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { startSentinelGroup } from '../support/redis-sentinel.ts';
import { redisProgram, valkeyProgram } from '../support/redis.ts';
import type { RedisServer, ServerProgram } from '../support/redis.ts';
import { refreshesOf, withReplicas } from '../support/replicas.ts';
import { signIn } from '../support/signed-in.ts';
import { hearing } from '../support/stores.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { expireToken, tokensKeyOf } from '../support/token-age.ts';
import { until } from '../support/until.ts';
import { answerWithToken, RecordingUpstream } from '../support/upstream.ts';

/** A setup that survives the loss of one server. */
interface Redundant extends AsyncDisposable {
  /** The `redis` section of the configuration. */
  section: Record<string, unknown>;
  settings: RedisSettings;
  primaryOf(key: string): Promise<RedisServer>;
  /** Makes the primary of a key a replica, alive and well. */
  demote(primary: RedisServer): Promise<unknown>;
}

async function sentinel({ path: program }: ServerProgram): Promise<Redundant> {
  const group = await startSentinelGroup({ program });
  const { name, sentinels: nodes } = group;
  return {
    section: { sentinel: { name, nodes: nodes.map(({ host, port }) => `${host}:${port}`) } },
    settings: { sentinel: { name, nodes } },
    primaryOf: () => group.primary(),
    demote: () => group.failOver(),
    [Symbol.asyncDispose]: () => group[Symbol.asyncDispose](),
  };
}

async function cluster(): Promise<Redundant> {
  const servers = await startRedisCluster();
  const { nodes } = servers;
  return {
    section: { cluster: { nodes: nodes.map(({ host, port }) => `${host}:${port}`) } },
    settings: { cluster: { nodes } },
    primaryOf: (key) => servers.masterOf(key),
    demote: (primary) => servers.failOver(primary),
    [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose](),
  };
}

let api: RecordingUpstream;
beforeAll(async () => {
  api = await RecordingUpstream.start();
  api.answer = answerWithToken;
});
afterAll(() => api.stop());

const twoOn = (place: Redundant) => ({
  count: 2,
  config: { redis: place.section, routes: [{ path: '/api', upstream: api.url }] },
});

const recoverWithinMs = 10_000;
const login = {
  main: 'sealed',
  expiresInMs: 300_000,
  idleMs: 1_800_000,
  absoluteMs: 43_200_000,
  clientId: 'shop-bff',
  issuer: 'https://id.example.com',
};

describe('Sentinel', () => {
  losesItsPrimary(() => sentinel(redisProgram));
  isRedundant(() => sentinel(redisProgram));
});
describe('Cluster', () => {
  losesItsPrimary(cluster);
  isRedundant(cluster);
});
describeOn('Sentinel of Valkey', valkeyProgram.absence, () => losesItsPrimary(() => sentinel(valkeyProgram)));

function losesItsPrimary(start: () => Promise<Redundant>): void {
  test('a killed primary logs nobody out: calls and logins succeed or get 503, and all is well within 10 s (ST-04, ST-07, ST-08)', async () => {
    await using place = await start();
    const shortLived = { ...twoOn(place), provider: { accessTokenTtlSeconds: 4 } };
    await withReplicas(shortLived, async (provider, replicas) => {
      const people = await Promise.all(['alice', 'bob'].map((user) => signIn(replicas[0]!, provider, user)));
      const primary = await place.primaryOf('postern:any');
      await until(async () => replicated(primary));
      await primary.stop();
      const killedAt = performance.now();
      const watch = startStopwatch();

      const answers: { status: number; setCookie: unknown }[] = [];
      const logins: string[] = [];
      let failedAt = 0;
      let lastLogin = '';
      // Long enough that every access token expires meanwhile: what is seen in the end includes writes.
      while (performance.now() < killedAt + recoverWithinMs + 2_000 || lastLogin !== 'logged in') {
        for (const on of replicas) {
          for (const person of people) {
            const { status, headers } = await person.call('/api/x', { on });
            answers.push({ status, setCookie: headers['set-cookie'] });
            if (status !== 200) failedAt = watch.elapsedMs();
          }
        }
        lastLogin = await signIn(replicas[1]!, provider, 'alice').then(() => 'logged in', String);
        if (!logins.includes(lastLogin)) logins.push(lastLogin);
        if (lastLogin !== 'logged in') failedAt = watch.elapsedMs();
        if (performance.now() > killedAt + 30_000) break;
      }
      expect(answers.filter(({ status }) => status !== 200 && status !== 503)).toEqual([]);
      expect(answers.filter(({ setCookie }) => setCookie !== undefined)).toEqual([]);
      for (const outcome of logins) expect(outcome).toMatch(/logged in|answered 503/);
      watch.stop();
      expect(failedAt).toBeLessThan(recoverWithinMs);
      expect(answers.slice(-2 * people.length).every(({ status }) => status === 200)).toBe(true);
    });
  }, 180_000);
}

function isRedundant(start: () => Promise<Redundant>): void {
  test('100 calls over two replicas on one expired token: one token call, no failure, alive at the next expiry (SES-18, TK-04)', async () => {
    await using place = await start();
    await withReplicas(twoOn(place), async (provider, replicas) => {
      const alice = await signIn(replicas[0]!, provider);
      for (const round of [1, 2]) {
        await expireToken(alice, await place.primaryOf(tokensKeyOf(alice)), replicas);
        const calls = Array.from({ length: 100 }, (_, index) => alice.call('/api/x', { on: replicas[index % 2]! }));
        const answers = await Promise.all(calls);
        expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
        expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
        expect(refreshesOf(provider)).toHaveLength(round);
      }
    });
  }, 180_000);

  test('after a failover nothing is begun for two seconds, and messages arrive again (ST-07)', async () => {
    await using place = await start();
    const states: string[] = [];
    let clock = 0;
    const store = createRedisStore({
      ...place.settings,
      now: () => clock,
      random: Math.random,
      onStateChange: (state) => states.push(state),
    });
    try {
      const heard: string[] = [];
      let reconnects = 0;
      store.subscribe({ ...hearing(({ h }) => heard.push(h)), reconnect: () => (reconnects += 1) });
      await until(() => store.listening());
      expect(store.settled()).toBe(true);
      const key = 'postern:{h}:tokens';
      await store.put('h', login);
      const primary = await place.primaryOf(key);
      await until(() => replicated(primary));
      await primary.stop();
      const watch = startStopwatch();
      await until(() => states.includes('down'));
      expect(store.settled()).toBe(false);
      await until(() => !store.listening());

      await until(() => states.at(-1) === 'up', 3 * recoverWithinMs);
      expect(watch.elapsedMs()).toBeLessThan(recoverWithinMs);
      watch.stop();
      expect(store.settled()).toBe(false);
      expect(reconnects).toBeGreaterThan(0);
      expect(await place.primaryOf(key)).not.toBe(primary);
      expect(await store.load('h')).toMatchObject({ main: 'sealed' });
      clock += 1_999;
      expect(store.settled()).toBe(false);
      clock += 1;
      expect(store.settled()).toBe(true);

      await until(() => store.listening());
      await store.end('h', 'logout');
      await until(() => heard.includes('h'));
    } finally {
      await store.close();
    }
  }, 180_000);

  test('a primary that becomes a replica is left for the new one, and nothing is lost (ST-07)', async () => {
    await using place = await start();
    const store = createRedisStore({ ...place.settings, now: () => performance.now(), random: Math.random });
    try {
      const key = 'postern:{h}:tokens';
      await until(() => store.listening());
      await store.put('h', login);
      const primary = await place.primaryOf(key);
      await place.demote(primary);
      await until(async () => (await place.primaryOf(key)) !== primary);
      const attempt = { h: 'h', revision: 1, owner: 'a' };
      const commit = () => store.commit(attempt, { main: 'new', expiresInMs: 1_000 }).catch(() => undefined);
      await until(async () => (await commit())?.kind === 'committed');
      expect(await store.load('h')).toMatchObject({ main: 'new', revision: 2 });
      await until(() => store.listening());
    } finally {
      await store.close();
    }
  }, 180_000);

  test('a store that is closed leaves nothing behind, with its primary frozen too', async () => {
    await using place = await start();
    const before = openSockets();
    const open = () => createRedisStore({ ...place.settings, now: () => performance.now(), random: Math.random });
    const [first, second] = [open(), open()];
    await until(() => first.listening() && second.listening());
    await first.close();
    const primary = await place.primaryOf('postern:{h}:tokens');
    primary.freeze();
    await second.load('h').catch(() => undefined);
    const watch = startStopwatch();
    await second.close();
    expect(watch.elapsedMs()).toBeLessThan(2_000);
    watch.stop();
    primary.thaw();
    await until(() => openSockets() <= before);
  }, 180_000);
}

/** Whether the replicas of a primary know all that it knows. */
async function replicated(primary: RedisServer): Promise<boolean> {
  const info = String(await primary.command('INFO', 'replication'));
  const offset = /master_repl_offset:(\d+)/.exec(info)![1]!;
  return new RegExp(`^slave0:.*state=online,offset=${offset},`, 'm').test(info);
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
}
