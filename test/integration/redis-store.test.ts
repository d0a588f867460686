// The store on Redis where Redis is slow, gone, full, a replica, or holds what we did not write.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createRedisStore, type RedisStoreOptions } from '../../src/store/redis.ts';
import {
  StoreUnavailable,
  type LoadedRecord,
  type NewTokenRecord,
  type Store,
  type StoreMessage,
} from '../../src/store/store.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import type { Stopwatch } from '../support/stopwatch.ts';
import { until } from '../support/until.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { hasListeners, hearing } from '../support/stores.ts';

const login: NewTokenRecord = {
  main: 'TOK_CANARY',
  expiresInMs: 300_000,
  idleMs: 1_800_000,
  absoluteMs: 43_200_000,
  clientId: 'shop-bff',
  issuer: 'https://id.example.com',
};
const minute = 60_000;
const h = 'jZae727K08KaOmKSgOaGzww_XVqGr_PKEgIMkjrcbJI';
const other = 'wNlT4NYyAZoCQPwQ1gJgL-PAeqwRZgWUyvC1i5mKMbg';
const tokens = `postern:{${h}}:tokens`;
const session = `postern:{${h}}:session`;

let redis: RedisServer;
let stores: Store[];
let watch: Stopwatch;
beforeEach(async () => {
  watch = startStopwatch();
  redis = await startRedis('--appendonly', 'yes', '--appendfsync', 'always');
  stores = [];
});
afterEach(async () => {
  watch.stop();
  redis.thaw();
  await Promise.all(stores.map((store) => store.close()));
  await redis[Symbol.asyncDispose]();
});

function open(options: Partial<RedisStoreOptions> = {}): Store {
  const store = createRedisStore({ url: redis.url, now: () => performance.now(), random: Math.random, ...options });
  stores.push(store);
  return store;
}

/** The same, and its connection stands: the first caller does not wait long for it. */
async function opened(options: Partial<RedisStoreOptions> = {}): Promise<Store> {
  const store = open(options);
  await until(isUp(store));
  return store;
}

const isUp = (store: Store) => () =>
  store.ping().then(
    () => true,
    () => false,
  );
const listening = (count: number) => () => hasListeners(redis, count);

async function timeToFail(asked: Promise<unknown>): Promise<number> {
  const from = performance.now();
  await expect(asked).rejects.toThrow(StoreUnavailable);
  return watch.betweenMs(from, performance.now());
}

describe('an outage is not a logout', () => {
  test('with Redis stopped every operation fails within a second, and none says that there is no session (ST-03, ST-04, SES-17)', async () => {
    const store = await opened();
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
    const store = await opened();
    await store.put(h, login);
    redis.freeze();
    const times = await Promise.all(Array.from({ length: 100 }, () => timeToFail(store.load(h))));
    expect(Math.max(...times)).toBeLessThan(1_000);
    expect(await timeToFail(store.load(h))).toBeLessThan(1_000);
    redis.thaw();
    await until(isUp(store));
    expect(await store.load(h)).toMatchObject({ main: 'TOK_CANARY' });
  });

  test('each outage ends without help within five seconds, and is told of once (ST-05)', async () => {
    const states: string[] = [];
    let attempts = 0;
    const random = () => (attempts += 1) && Math.random();
    const store = open({ onStateChange: (state) => states.push(state), random });
    await store.put(h, login);
    for (let cycle = 1; cycle <= 3; cycle += 1) {
      const before = attempts;
      await redis.stop();
      await until(() => attempts >= before + 6);
      await redis.start();
      const from = performance.now();
      await until(isUp(store));
      expect(watch.betweenMs(from, performance.now())).toBeLessThan(5_000);
      expect(await store.load(h)).toMatchObject({ main: 'TOK_CANARY' });
    }
    expect(states).toEqual(['up', 'down', 'up', 'down', 'up', 'down', 'up']);
  });

  test('a Redis that is not there yet when we start is found when it comes (ST-05)', async () => {
    await redis.stop();
    const states: string[] = [];
    const store = open({ onStateChange: (state) => states.push(state) });
    expect(await timeToFail(store.load(h))).toBeLessThan(1_000);
    await redis.start();
    await until(isUp(store));
    expect(states).toEqual(['down', 'up']);
  });

  test('an outage that is known costs its callers no waiting, and no memory (ST-11)', async () => {
    const states: string[] = [];
    const store = open({ onStateChange: (state) => states.push(state) });
    await store.ping();
    await redis.stop();
    await until(() => states.includes('down'));
    const from = performance.now();
    for (let i = 0; i < 100; i += 1) await timeToFail(store.load(h));
    expect(watch.betweenMs(from, performance.now())).toBeLessThan(500);
  });

  test('a command whose connection breaks has failed, at once, and is not sent again (ST-02)', async () => {
    const store = await opened();
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
    const [here, there] = [open(), open()];
    const heard: StoreMessage[] = [];
    here.subscribe(hearing((message) => heard.push(message)));
    await here.put(h, login);
    await redis.stop();
    await redis.start();
    await until(listening(2));
    await until(isUp(there));
    await there.end(h, 'logout');
    await until(() => heard.length > 0);
    expect(heard).toEqual([{ what: 'ended', h, reason: 'logout' }]);
  });
});

describe('nothing is begun where a takeover could be a mistake', () => {
  test('a first connection is settled at once, one that was lost two seconds after it is back', async () => {
    let clock = 0;
    const store = open({ now: () => clock });
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
    const store = open({ now: () => clock });
    await timeToFail(store.ping());
    await redis.start();
    await until(isUp(store));
    expect(store.settled()).toBe(false);
    clock = 2_000;
    expect(store.settled()).toBe(true);
  });
});

describe('a Redis that says no', () => {
  test('forgets our scripts: nobody notices', async () => {
    const store = await opened();
    await store.put(h, login);
    await redis.command('SCRIPT', 'FLUSH');
    const loaded = await Promise.all(Array.from({ length: 20 }, () => store.load(h)));
    for (const record of loaded) expect(record).toMatchObject({ main: 'TOK_CANARY' });
  });

  test('is full: a login is refused without a half session, reads and logouts work (S-14)', async () => {
    const store = await opened();
    await store.put(other, login);
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    await timeToFail(store.put(h, login));
    await timeToFail(store.writeSession(h, '{}', 60));
    expect(await store.load(h)).toBeNull();
    expect(await store.load(other)).toMatchObject({ revision: 1 });
    expect(await store.end(other, 'logout')).toBe(true);
  });

  test('became a replica: writes fail as an outage and recover with the primary (ST-07)', async () => {
    const store = await opened();
    await store.put(h, login);
    await redis.command('REPLICAOF', '127.0.0.1', '1');
    await timeToFail(store.begin({ h, revision: 1, owner: 'a' }, minute));
    await redis.command('REPLICAOF', 'NO', 'ONE');
    await until(isUp(store));
    expect(await store.begin({ h, revision: 1, owner: 'b' }, minute)).toEqual({ kind: 'begun', takeover: false });
    expect(store.settled()).toBe(false);
  });

  test('refuses the message channel: the write stands, and the check says so', async () => {
    await redis.command('ACL', 'SETUSER', 'postern', 'on', '>pw', '~postern:*', '+@all', 'resetchannels');
    const store = open({ url: redis.url.replace('//', '//postern:pw@') });
    await store.put(h, login);
    const attempt = { h, revision: 1, owner: 'a' };
    expect(await store.commit(attempt, { main: 'new', expiresInMs: 1_000 })).toMatchObject({ kind: 'committed' });
    expect(await store.end(h, 'logout')).toBe(true);
    await until(async () => !(await isUp(store)()));
    await expect(store.ping()).rejects.toMatchObject({ cause: { message: expect.stringContaining('NOPERM') } });
  });

  test('refuses the password, and the password is in no error', async () => {
    await redis.command('ACL', 'SETUSER', 'postern', 'on', '>right', '~*', '+@all', '&*');
    const causes: unknown[] = [];
    const url = redis.url.replace('//', '//postern:SEC_wrong@');
    const store = open({ url, onStateChange: (_state, cause) => causes.push(cause) });
    await expect(store.ping()).rejects.toThrow(StoreUnavailable);
    await until(() => causes.length > 0);
    const failure: unknown = await store.load(h).catch((error: unknown) => error);
    expect(inspect([causes, failure], { depth: 9, showHidden: true })).not.toContain('SEC_wrong');
    expect(inspect(causes)).toContain('WRONGPASS');
  });
});

describe('what stands in Redis', () => {
  test('are two records in one cluster slot, named by the hash alone, with one life (S-14, S-16, SES-15)', async () => {
    const store = await opened();
    await store.writeSession(h, '{"sub":"alice"}', 43_200);
    await store.put(h, login);
    expect((await redis.command('KEYS', '*')) as string[]).toEqual(expect.arrayContaining([tokens, session]));
    expect(await redis.command('DBSIZE')).toBe(2);
    for (const key of [tokens, session]) {
      const ttlMs = (await redis.command('PTTL', key)) as number;
      expect(ttlMs).toBeGreaterThan(1_790_000);
      expect(ttlMs).toBeLessThanOrEqual(1_800_000);
    }
    await store.end(h, 'logout');
    expect(await redis.command('DBSIZE')).toBe(0);
  });

  test('are never given more than the rest of the absolute lifetime (S-14, SES-06)', async () => {
    const store = await opened();
    await store.writeSession(h, '{}', 43_200);
    await store.put(h, { ...login, absoluteMs: 30_000 });
    await store.slide(h);
    for (const key of [tokens, session]) expect(await redis.command('PTTL', key)).toBeLessThanOrEqual(30_000);
  });

  test('always has an end: guards, tickets and session records too (S-14)', async () => {
    const store = await opened();
    await store.claimOnce('tx:1', 'a', 600);
    await store.putLogoutTicket('hash', 'sealed', 60);
    await store.writeSession(h, '{}', 43_200);
    const keys = (await redis.command('KEYS', '*')) as string[];
    expect(keys.sort()).toEqual(['postern:logout:hash', 'postern:tx:1', session]);
    for (const key of keys) expect(await redis.command('PTTL', key)).toBeGreaterThan(0);
  });

  test('keeps an index as long as its last session, and drops from it at each write those that are over (S-14)', async () => {
    const store = open();
    const key = 'postern:sub:alice';
    const lifeMs = async () => (await redis.command('PTTL', key)) as number;
    await store.indexAdd('sub:alice', 'long', 10 * minute);
    await store.indexAdd('sub:alice', 'short', 500);
    expect(await lifeMs()).toBeGreaterThan(9 * minute);
    await until(async () => (await store.indexFind('sub:alice')).length === 1);
    expect(await redis.command('ZCARD', key)).toBe(2);
    await store.indexAdd('sub:alice', 'middle', 5 * minute);
    expect(await redis.command('ZRANGE', key, 0, -1)).toEqual(['middle', 'long']);
    await store.indexRemove('sub:alice', 'long');
    expect(await lifeMs()).toBeLessThanOrEqual(5 * minute);
    await store.indexRemove('sub:alice', 'middle');
    expect(await redis.command('EXISTS', key)).toBe(0);
  });

  test('ends at the absolute end even when somebody made it last for ever (S-23)', async () => {
    const store = await opened();
    await store.put(h, { ...login, absoluteMs: 2_000 });
    await redis.command('PERSIST', tokens);
    const { ttlMs } = (await store.load(h)) as LoadedRecord;
    expect(ttlMs).toBeGreaterThan(0);
    expect(ttlMs).toBeLessThanOrEqual(2_000);
    await until(async () => (await store.load(h)) === null);
    expect(await store.begin({ h, revision: 1, owner: 'a' }, minute)).toEqual({ kind: 'gone' });
    expect(await redis.command('EXISTS', tokens)).toBe(1);
  });

  test('is gone for us when an operator deletes it (SES-04)', async () => {
    const store = await opened();
    await store.put(h, login);
    await redis.command('DEL', tokens);
    expect(await store.load(h)).toBeNull();
  });

  test.each([
    ['of a newer format', ['HSET', tokens, 'format', '2']],
    ['without its tokens', ['HDEL', tokens, 'main']],
    ['without a revision', ['HDEL', tokens, 'revision']],
    ['with a revision that is no number', ['HSET', tokens, 'revision', 'one']],
    ['without an absolute end', ['HDEL', tokens, 'absoluteExpiresAt']],
    ['of another session', ['HSET', tokens, 'h', other]],
  ])('a record %s is unreadable, and is kept (S-17, ST-19)', async (_what, [command, ...args]) => {
    const store = await opened();
    await store.put(h, login);
    await redis.command(command!, ...args);
    expect(await store.load(h)).toBe('unreadable');
    const before = await redis.command('HGETALL', tokens);
    await store.slide(h).catch(() => undefined);
    expect(await store.load(h)).toBe('unreadable');
    expect(await redis.command('HGETALL', tokens)).toEqual(before);
    expect(await store.end(h, 'logout')).toBe(true);
  });

  test('a refresh of a record of another format touches nothing (S-17, ST-19)', async () => {
    const store = await opened();
    await store.put(h, login);
    await redis.command('HSET', tokens, 'format', '2');
    const before = await redis.command('HGETALL', tokens);
    const attempt = { h, revision: 1, owner: 'a' };
    await timeToFail(store.begin(attempt, minute));
    await timeToFail(store.commit(attempt, { main: 'x', expiresInMs: 1 }));
    await timeToFail(store.endIf(attempt, 'revoked'));
    await store.fail(attempt, 1);
    expect(await redis.command('HGETALL', tokens)).toEqual(before);
  });

  test('a key of another type is unreadable, not an error for ever (S-17)', async () => {
    const store = open();
    await redis.command('SET', tokens, 'garbage');
    expect(await store.load(h)).toBe('unreadable');
  });
});

test('what is asked at the same time goes to Redis in one write', async () => {
  const store = await opened();
  await store.put(h, login);
  const reads = async () =>
    Number(/total_reads_processed:(\d+)/.exec(String(await redis.command('INFO', 'stats')))?.[1]);
  await store.load(h);
  const before = await reads();
  await Promise.all(Array.from({ length: 1_000 }, () => store.load(h)));
  // The server takes at most 16 KB at a time, and ticks are among them.
  expect((await reads()) - before).toBeLessThan(30);
});

describe('messages', () => {
  test('of other processes arrive, of one database as of another', async () => {
    const [here, there] = [open(), open()];
    const heard: StoreMessage[] = [];
    here.subscribe(hearing((message) => heard.push(message)));
    await until(listening(2));
    await there.put(h, login);
    await there.commit({ h, revision: 1, owner: 'a' }, { main: 'new', expiresInMs: 1_000 });
    await until(() => heard.length > 0);
    expect(heard).toEqual([{ what: 'refreshed', h, revision: 2 }]);
  });

  test('that nobody of us wrote are passed over', async () => {
    const store = open();
    const heard: StoreMessage[] = [];
    store.subscribe(hearing((message) => heard.push(message)));
    await until(listening(1));
    const foreign = [
      '',
      'garbage',
      'null',
      '[]',
      '"ended"',
      '{"what":"ended"}',
      `{"what":"ended","h":"${h}"}`,
      `{"what":"ended","h":"${h}","reason":"toString"}`,
      `{"what":"ended","h":7,"reason":"logout"}`,
      `{"what":"refreshed","h":"${h}"}`,
      `{"what":"refreshed","h":"${h}","revision":"2"}`,
      `{"what":"constructor","h":"${h}","revision":2}`,
    ];
    for (const text of foreign) await redis.command('PUBLISH', 'postern:messages', text);
    await store.end(h, 'logout');
    await until(() => heard.length > 0);
    expect(heard).toEqual([{ what: 'ended', h, reason: 'logout' }]);
  });
});

describe('the connection', () => {
  test('whose answers have shifted gives nobody the session of somebody else (ST-01, ST-02)', async () => {
    const direct = open();
    await direct.put(h, { ...login, main: 'of-alice' });
    await direct.put(other, { ...login, main: 'of-bob' });
    await direct.writeSession(h, '"alice"', 60);
    await direct.writeSession(other, '"bob"', 60);

    await using wire = await startWire(redis.port);
    const store = open({ url: `redis://127.0.0.1:${wire.port}` });
    expect(await store.load(h)).toMatchObject({ main: 'of-alice' });
    expect(await store.load(other)).toMatchObject({ main: 'of-bob' });
    expect(await store.readSession(other)).toBe('"bob"');

    wire.repeatNext();
    expect(await store.load(h)).toMatchObject({ main: 'of-alice' });
    // Its answer now stands in line for the next question, whoever asks.
    await timeToFail(store.load(other));
    await until(isUp(store));
    expect(await store.load(other)).toMatchObject({ main: 'of-bob' });

    wire.repeatNext();
    expect(await store.readSession(h)).toBe('"alice"');
    await timeToFail(store.readSession(other));
    await until(isUp(store));
    expect(await store.readSession(other)).toBe('"bob"');
  });

  test('for messages is made anew with the other one, when a firewall forgot both without a word', async () => {
    await using wire = await startWire(redis.port);
    const [here, there] = [open({ url: `redis://127.0.0.1:${wire.port}` }), open()];
    const heard: StoreMessage[] = [];
    here.subscribe(hearing((message) => heard.push(message)));
    await until(listening(2));
    wire.forget();
    await timeToFail(here.ping());
    await until(isUp(here));
    await until(async () => {
      await there.end(h, 'logout');
      return heard.length > 0;
    });
  });

  test('answers what is under way before it is closed', async () => {
    const store = await opened();
    await store.put(h, login);
    await store.load(h);
    const loading = Array.from({ length: 50 }, () => store.load(h));
    await store.close();
    for (const record of await Promise.all(loading)) expect(record).toMatchObject({ revision: 1 });
  });

  test('that is closed leaves nothing behind, on either side', async () => {
    const before = openSockets();
    const store = await opened();
    await store.ping();
    await until(listening(1));
    await store.close();
    expect(openSockets()).toBe(before);
    await until(async () => !String(await redis.command('CLIENT', 'LIST')).includes('name=postern'));
    await timeToFail(store.load(h));
  });

  test('closes in an outage too, frozen or stopped', async () => {
    const before = openSockets();
    const [frozen, stopped] = [open(), open()];
    await frozen.ping();
    await stopped.ping();
    redis.freeze();
    const from = performance.now();
    await frozen.close();
    expect(watch.betweenMs(from, performance.now())).toBeLessThan(1_500);
    await redis.stop();
    await timeToFail(stopped.ping());
    await stopped.close();
    expect(openSockets()).toBe(before);
  });
});

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
}

/** A wire to Redis that can say an answer twice, as to a driver that lost count, and fall silent without closing. */
async function startWire(port: number) {
  let repeating = false;
  const pairs = new Set<{ client: Socket; upstream: Socket; dead: boolean }>();
  const server = createServer((client) => {
    const pair = { client, upstream: connect(port, '127.0.0.1'), dead: false };
    const { upstream } = pair;
    pairs.add(pair);
    for (const socket of [client, upstream]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (pair.dead) return;
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (bytes) => {
      if (!pair.dead) upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (pair.dead) return;
      client.write(bytes);
      if (!repeating) return;
      repeating = false;
      // Apart from the answer itself: the driver takes it for the answer to what it asks next.
      client.once('data', () => client.write(bytes));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    repeatNext: () => (repeating = true),
    /** Today's connections stay open and carry nothing any more; new ones work. */
    forget() {
      for (const pair of pairs) pair.dead = true;
    },
    async [Symbol.asyncDispose]() {
      for (const { client, upstream } of pairs) {
        client.destroy();
        upstream.destroy();
      }
      server.close();
      await once(server, 'close');
    },
  };
}
