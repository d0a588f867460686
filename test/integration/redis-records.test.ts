// What stands in Redis, byte for byte, when somebody else has been at it, and when Redis says no.
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { StoreUnavailable, type LoadedRecord } from '../../src/store/store.ts';
import type { RedisServer } from '../support/redis.ts';
import { isUp, startRedisStores, timeToFail, type RedisStores } from '../support/redis-stores.ts';
import { h, login, minute, other } from '../support/token-record.ts';
import { until } from '../support/until.ts';

const tokens = `postern:{${h}}:tokens`;
const session = `postern:{${h}}:session`;

let stores: RedisStores;
let redis: RedisServer;
beforeEach(async () => {
  stores = await startRedisStores();
  ({ redis } = stores);
});
afterEach(() => stores[Symbol.asyncDispose]());

describe('what stands in Redis', () => {
  test('are two records in one cluster slot, named by the hash alone, with one life (S-14, S-16, SES-15)', async () => {
    const store = await stores.opened();
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
    const store = await stores.opened();
    await store.writeSession(h, '{}', 43_200);
    await store.put(h, { ...login, absoluteMs: 30_000 });
    await store.slide(h);
    for (const key of [tokens, session]) expect(await redis.command('PTTL', key)).toBeLessThanOrEqual(30_000);
  });

  test('always has an end: guards, tickets and session records too (S-14)', async () => {
    const store = await stores.opened();
    await store.claimOnce('tx:1', 'a', 600);
    await store.putLogoutTicket('hash', 'sealed', 60);
    await store.writeSession(h, '{}', 43_200);
    const keys = (await redis.command('KEYS', '*')) as string[];
    expect(keys.sort()).toEqual(['postern:logout:hash', 'postern:tx:1', session]);
    for (const key of keys) expect(await redis.command('PTTL', key)).toBeGreaterThan(0);
  });

  test('keeps an index as long as its last session, and drops from it at each write those that are over (S-14)', async () => {
    const store = stores.open();
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
    const store = await stores.opened();
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
    const store = await stores.opened();
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
    const store = await stores.opened();
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
    const store = await stores.opened();
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
    const store = stores.open();
    await redis.command('SET', tokens, 'garbage');
    expect(await store.load(h)).toBe('unreadable');
  });
});

describe('a Redis that says no', () => {
  test('forgets our scripts: nobody notices', async () => {
    const store = await stores.opened();
    await store.put(h, login);
    await redis.command('SCRIPT', 'FLUSH');
    const loaded = await Promise.all(Array.from({ length: 20 }, () => store.load(h)));
    for (const record of loaded) expect(record).toMatchObject({ main: login.main });
  });

  test('is full: a login is refused without a half session, reads and logouts work (S-14)', async () => {
    const store = await stores.opened();
    await store.put(other, login);
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    await timeToFail(store.put(h, login));
    await timeToFail(store.writeSession(h, '{}', 60));
    expect(await store.load(h)).toBeNull();
    expect(await store.load(other)).toMatchObject({ revision: 1 });
    expect(await store.end(other, 'logout')).toBe(true);
  });

  test('became a replica: writes fail as an outage and recover with the primary (ST-07)', async () => {
    const store = await stores.opened();
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
    const store = stores.open({ url: redis.url.replace('//', '//postern:pw@') });
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
    const store = stores.open({ url, onStateChange: (_state, cause) => causes.push(cause) });
    await expect(store.ping()).rejects.toThrow(StoreUnavailable);
    await until(() => causes.length > 0);
    const failure: unknown = await store.load(h).catch((error: unknown) => error);
    expect(inspect([causes, failure], { depth: 9, showHidden: true })).not.toContain('SEC_wrong');
    expect(inspect(causes)).toContain('WRONGPASS');
  });
});
