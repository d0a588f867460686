// What every store promises, run on the embedded one and on a real Redis and a real Valkey of each kind. Nothing here knows which it is.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { AttemptRef, LoadedRecord, NewTokenRecord, Store, StoreMessage } from '../../src/store/store.ts';
import { describeOn } from '../support/describe-on.ts';
import { until } from '../support/until.ts';
import { launchRedis, redisProgram, valkeyProgram, type RedisServer, type ServerProgram } from '../support/redis.ts';
import { startRedisCluster, type RedisCluster } from '../support/redis-cluster.ts';
import { startSentinelGroup, type SentinelGroup } from '../support/redis-sentinel.ts';
import {
  openClusterStore,
  openSentinelStore,
  openMemoryStore,
  openRedisStore,
  type OpenStore,
  hearing,
} from '../support/stores.ts';

const login: NewTokenRecord = {
  main: 'sealed-1',
  expiresInMs: 300_000,
  idleMs: 1_800_000,
  absoluteMs: 43_200_000,
  clientId: 'shop-bff',
  issuer: 'https://id.example.com',
};
const minute = 60_000;

describe('the memory store', () => promises(() => Promise.resolve(openMemoryStore())));

for (const program of [redisProgram, valkeyProgram])
  describeOn(`on ${program.name}`, program.absence, () => serverStores(program));

function serverStores({ name, path: program }: ServerProgram): void {
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

  describe(`the ${name} store`, () => promises(() => openRedisStore(server)));
  describe(`the ${name} Sentinel store`, () => promises(() => openSentinelStore(group)));
  describe(`the ${name} Cluster store`, () => promises(() => openClusterStore(cluster)));
}

function promises(open: () => Promise<OpenStore>): void {
  let subject: OpenStore;
  let store: Store;
  let soon: (check: () => boolean | Promise<boolean>) => Promise<void>;
  let heard: StoreMessage[];
  let h: string;

  beforeEach(async () => {
    subject = await open();
    store = subject.store;
    soon = (check) => until(check, 20_000, subject.pause);
    heard = [];
    // A node of a Cluster may pass on late what an earlier test has sent through another one.
    store.subscribe(hearing((message) => message.h === h && heard.push(message)));
    h = `hash-${Math.random()}`;
  });
  afterEach(() => subject.close());

  async function loaded(): Promise<LoadedRecord> {
    const record = await store.load(h);
    if (record === null || record === 'unreadable') throw new Error(`no record: ${String(record)}`);
    return record;
  }
  const by = (owner: string, revision = 1): AttemptRef => ({ h, revision, owner });
  const tokens = (main: string) => ({ main, expiresInMs: 300_000 });

  describe('a record', () => {
    test('of a session that was never made is nowhere, for no operation', async () => {
      expect(await store.load(h)).toBeNull();
      expect(await store.begin(by('a'), minute)).toEqual({ kind: 'gone' });
      expect(await store.commit(by('a'), tokens('new'))).toEqual({ kind: 'gone' });
      expect(await store.endIf(by('a'), 'revoked')).toEqual({ kind: 'gone' });
      expect(await store.end(h, 'logout')).toBe(false);
      await store.fail(by('a'), minute);
      await store.slide(h);
      expect(await store.load(h)).toBeNull();
    });

    test('is loaded as it was put, with its instants on the clock of the store', async () => {
      await store.put(h, login);
      const record = await loaded();
      expect(record).toEqual({
        main: 'sealed-1',
        revision: 1,
        expiresAt: record.refreshedAt + 300_000,
        refreshedAt: expect.any(Number),
        retryAt: undefined,
        attempt: undefined,
        committedBy: undefined,
        absoluteExpiresAt: record.refreshedAt + 43_200_000,
        idleMs: 1_800_000,
        clientId: 'shop-bff',
        issuer: 'https://id.example.com',
        now: expect.any(Number),
        ttlMs: expect.any(Number),
      });
      expect(record.now - record.refreshedAt).toBeGreaterThanOrEqual(0);
      expect(record.now - record.refreshedAt).toBeLessThan(60_000);
      expect(record.ttlMs).toBeLessThanOrEqual(1_800_000);
      expect(record.ttlMs).toBeGreaterThan(1_740_000);
    });

    test('keeps every byte of the sealed value', async () => {
      const main = `v1.kid.${'\u0000\r\n"\\ü€😀'.repeat(500)}`;
      await store.put(h, { ...login, main });
      expect((await loaded()).main).toBe(main);
    });

    test('without a lifetime of its access token has no expiry', async () => {
      await store.put(h, { ...login, expiresInMs: undefined });
      expect((await loaded()).expiresAt).toBeUndefined();
    });

    test('takes lifetimes that are no whole milliseconds', async () => {
      await store.put(h, { ...login, expiresInMs: 1_000.4, idleMs: 2_000.5, absoluteMs: 3_000.6 });
      expect((await loaded()).ttlMs).toBeGreaterThan(0);
    });

    test('that a caller changes is not changed in the store', async () => {
      await store.put(h, login);
      await store.begin(by('a'), minute);
      const mine = await loaded();
      mine.main = 'mine';
      mine.attempt!.owner = 'mine';
      expect(await loaded()).toMatchObject({ main: 'sealed-1', attempt: { owner: 'a' } });
    });

    test('put again replaces the older one whole', async () => {
      await store.put(h, login);
      await store.begin(by('a'), minute);
      await store.fail(by('a'), minute);
      await store.put(h, { ...login, main: 'second', expiresInMs: undefined });
      expect(await loaded()).toMatchObject({ main: 'second', revision: 1, retryAt: undefined, expiresAt: undefined });
    });
  });

  describe('a lifetime', () => {
    test.each([
      ['idle', { idleMs: 1_000, absoluteMs: minute }],
      ['absolute', { idleMs: minute, absoluteMs: 1_000 }],
    ])('that is over (%s) takes both records with it (SES-05, SES-06, S-14)', async (_which, lifetimes) => {
      await store.writeSession(h, '{"sub":"alice"}', 3_600);
      await store.put(h, { ...login, ...lifetimes });
      expect((await loaded()).ttlMs).toBeLessThanOrEqual(1_000);
      await soon(async () => (await store.load(h)) === null);
      await subject.pause();
      expect(await store.readSession(h)).toBeNull();
    });

    test('is over with the refresh token’s, however much is done (BFF-09)', async () => {
      await store.put(h, { ...login, refreshExpiresInMs: 1_000 });
      await soon(async () => {
        await store.slide(h);
        return (await store.load(h)) === null;
      });
      expect(await store.begin(by('a'), minute)).toEqual({ kind: 'gone' });
      expect(await store.commit(by('a'), { ...tokens('late'), refreshExpiresInMs: minute })).toEqual({ kind: 'gone' });
    });

    test('goes on when a refresh brings a token of a later end, and never beyond the absolute one (BFF-09)', async () => {
      await store.put(h, { ...login, refreshExpiresInMs: 40_000 });
      const left = async (): Promise<number> => {
        const { absoluteExpiresAt, refreshedAt } = await loaded();
        return absoluteExpiresAt - refreshedAt;
      };
      expect(await left()).toBe(40_000);
      await store.commit(by('a'), { ...tokens('second'), refreshExpiresInMs: 70_000 });
      expect(await left()).toBe(70_000);
      expect((await loaded()).ttlMs).toBeGreaterThan(40_000);
      await store.commit(by('b', 2), tokens('third'));
      expect(await left()).toBeLessThanOrEqual(70_000);
      await store.commit(by('c', 3), { ...tokens('fourth'), refreshExpiresInMs: 100 * login.absoluteMs });
      expect(await left()).toBeLessThanOrEqual(login.absoluteMs);
      expect(await left()).toBeGreaterThan(login.absoluteMs - minute);
    });

    test('is renewed by activity (SES-05)', async () => {
      await store.put(h, { ...login, idleMs: 10_000 });
      await soon(async () => (await loaded()).ttlMs < 9_000);
      await store.slide(h);
      expect((await loaded()).ttlMs).toBeGreaterThan(9_000);
    });

    test('is renewed for both records (SES-05)', async () => {
      await store.writeSession(h, '{"sub":"alice"}', 3_600);
      await store.put(h, { ...login, idleMs: 2_000 });
      await soon(async () => {
        await store.slide(h);
        const { now, refreshedAt } = await loaded();
        return now - refreshedAt > 2_050;
      });
      expect(await store.readSession(h)).toBe('{"sub":"alice"}');
    });

    test('is never renewed beyond the absolute end (SES-06)', async () => {
      await store.put(h, { ...login, idleMs: 60_000, absoluteMs: 30_000 });
      await store.slide(h);
      expect((await loaded()).ttlMs).toBeLessThanOrEqual(30_000);
    });

    test('ends at the absolute end, whatever the activity (SES-06, S-23)', async () => {
      await store.put(h, { ...login, idleMs: minute, absoluteMs: 80 });
      await soon(async () => {
        await store.slide(h);
        return (await store.load(h)) === null;
      });
    });

    test('is not changed by a refresh', async () => {
      await store.put(h, { ...login, idleMs: 10_000 });
      await soon(async () => (await loaded()).ttlMs < 9_990);
      await store.begin(by('a'), minute);
      await store.commit(by('a'), tokens('new'));
      expect((await loaded()).ttlMs).toBeLessThan(9_990);
    });
  });

  describe('a refresh', () => {
    beforeEach(() => store.put(h, login));

    test('is begun by one of a hundred who ask at once (SES-18)', async () => {
      const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => store.begin(by(`owner-${i}`), minute)));
      expect(answers.filter(({ kind }) => kind === 'begun')).toEqual([{ kind: 'begun', takeover: false }]);
      expect(answers.filter(({ kind }) => kind === 'wait')).toHaveLength(99);
    });

    test('makes others wait for as long as the attempt may take', async () => {
      await store.begin(by('a'), 25_000);
      const answer = await store.begin(by('b'), 25_000);
      expect(answer).toEqual({ kind: 'wait', waitMs: expect.any(Number) });
      const { waitMs } = answer as { waitMs: number };
      expect(waitMs).toBeGreaterThan(10_000);
      expect(waitMs).toBeLessThanOrEqual(25_000);
      expect((await loaded()).attempt).toMatchObject({ owner: 'a' });
    });

    test('that the same owner begins twice is begun once, with the same answer and the same deadline', async () => {
      const first = await store.begin(by('a'), 25_000);
      const deadlineAt = (await loaded()).attempt?.deadlineAt;
      await soon(async () => (await loaded()).now > deadlineAt! - 24_990);
      expect(await store.begin(by('a'), 25_000)).toEqual(first);
      expect((await loaded()).attempt?.deadlineAt).toBe(deadlineAt);
    });

    test('is taken over after its deadline, and the new owner is told so each time it asks', async () => {
      await store.begin(by('a'), 40);
      await soon(async () => (await store.begin(by('b'), minute)).kind === 'begun');
      expect(await store.begin(by('b'), minute)).toEqual({ kind: 'begun', takeover: true });
      expect(await store.begin(by('c'), minute)).toMatchObject({ kind: 'wait' });
    });

    test('of a revision that is no more answers with what there is', async () => {
      await store.begin(by('a'), minute);
      await store.commit(by('a'), tokens('sealed-2'));
      expect(await store.begin(by('b', 1), minute)).toMatchObject({
        kind: 'moved',
        record: { main: 'sealed-2', revision: 2 },
      });
    });

    test('that finished is seen even by those whom a back-off would hold', async () => {
      await store.commit(by('a'), tokens('sealed-2'));
      await store.begin(by('b', 2), minute);
      await store.fail(by('b', 2), minute);
      expect(await store.begin(by('c', 1), minute)).toMatchObject({ kind: 'moved', record: { revision: 2 } });
      expect(await store.begin(by('c', 2), minute)).toMatchObject({ kind: 'back-off' });
    });

    test('writes the new tokens, the next revision and who wrote them, and clears the attempt', async () => {
      await store.begin(by('a'), minute);
      const answer = await store.commit(by('a'), { main: 'sealed-2', expiresInMs: 60_000 });
      const record = await loaded();
      expect(answer).toMatchObject({ kind: 'committed', record: { main: 'sealed-2', revision: 2 } });
      expect(record).toMatchObject({ main: 'sealed-2', revision: 2, committedBy: 'a', attempt: undefined });
      expect(record.expiresAt).toBe(record.refreshedAt + 60_000);
      expect(record).toMatchObject({ clientId: 'shop-bff', issuer: 'https://id.example.com', idleMs: 1_800_000 });
    });

    test('whose answer names no lifetime forgets the old expiry', async () => {
      await store.commit(by('a'), { main: 'sealed-2', expiresInMs: undefined });
      expect((await loaded()).expiresAt).toBeUndefined();
    });

    test('that is committed twice is committed once, and both are told so', async () => {
      await store.begin(by('a'), minute);
      await store.commit(by('a'), tokens('sealed-2'));
      const again = await store.commit(by('a'), tokens('sealed-2'));
      expect(again).toMatchObject({ kind: 'committed', record: { main: 'sealed-2', revision: 2 } });
      expect((await loaded()).revision).toBe(2);
    });

    test('that comes late is kept when nobody was faster, and the one who took over uses it (SES-19)', async () => {
      await store.begin(by('slow'), 20);
      await soon(async () => (await store.begin(by('next'), minute)).kind === 'begun');
      expect(await store.commit(by('slow'), tokens('of-slow'))).toMatchObject({ kind: 'committed' });
      expect(await store.commit(by('next'), tokens('of-next'))).toMatchObject({
        kind: 'moved',
        record: { main: 'of-slow', revision: 2 },
      });
      expect((await loaded()).attempt).toBeUndefined();
    });

    test('is written by exactly one of many who commit at once', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => store.commit(by(`owner-${i}`), tokens(`of-${i}`))),
      );
      expect(answers.filter(({ kind }) => kind === 'committed')).toHaveLength(1);
      expect((await loaded()).revision).toBe(2);
    });

    test('that failed is not begun again before its back-off is over', async () => {
      await store.begin(by('a'), minute);
      await store.fail(by('a'), 1_000);
      const answer = await store.begin(by('b'), minute);
      expect(answer).toEqual({ kind: 'back-off', retryInMs: expect.any(Number) });
      expect((answer as { retryInMs: number }).retryInMs).toBeLessThanOrEqual(1_000);
      await soon(async () => (await store.begin(by('b'), minute)).kind === 'begun');
      expect(await store.begin(by('b'), minute)).toEqual({ kind: 'begun', takeover: false });
    });

    test('that succeeded ends the back-off of an earlier one', async () => {
      await store.begin(by('a'), minute);
      await store.fail(by('a'), minute);
      await store.commit(by('a'), tokens('sealed-2'));
      expect(await store.begin(by('b', 2), minute)).toEqual({ kind: 'begun', takeover: false });
    });

    test('is not given up by somebody else', async () => {
      await store.begin(by('a'), minute);
      await store.fail(by('b'), minute);
      expect(await loaded()).toMatchObject({ attempt: { owner: 'a' }, retryAt: undefined });
      await store.commit(by('a'), tokens('sealed-2'));
      await store.fail(by('a'), minute);
      expect((await loaded()).retryAt).toBeUndefined();
    });
  });

  describe('an end', () => {
    beforeEach(async () => {
      await store.writeSession(h, '{"sub":"alice"}', 3_600);
      await store.put(h, login);
    });

    test('takes both records, and is true once', async () => {
      expect(await store.end(h, 'logout')).toBe(true);
      expect(await store.load(h)).toBeNull();
      expect(await store.readSession(h)).toBeNull();
      expect(await store.end(h, 'logout')).toBe(false);
    });

    test('is final: nothing that was under way brings the session back (SES-20, S-05)', async () => {
      await store.begin(by('a'), minute);
      await store.end(h, 'logout');
      expect(await store.commit(by('a'), tokens('sealed-2'))).toEqual({ kind: 'gone' });
      await store.fail(by('a'), minute);
      await store.slide(h);
      expect(await store.begin(by('b'), minute)).toEqual({ kind: 'gone' });
      expect(await store.endIf(by('a'), 'revoked')).toEqual({ kind: 'gone' });
      expect(await store.load(h)).toBeNull();
      expect(await store.readSession(h)).toBeNull();
    });

    test('wins every race against a refresh and activity (SES-20, S-05)', async () => {
      for (let round = 0; round < 50; round += 1) {
        await store.put(h, login);
        const racers = [
          () => store.commit(by('a'), tokens('sealed-2')),
          () => store.end(h, 'logout'),
          () => store.slide(h),
          () => store.fail(by('a'), minute),
        ];
        await store.begin(by('a'), minute);
        await Promise.all(
          racers
            .slice(round % 4)
            .concat(racers.slice(0, round % 4))
            .map((race) => race()),
        );
        expect(await store.load(h)).toBeNull();
      }
    });

    test('for the attempt that the provider refused', async () => {
      await store.begin(by('a'), minute);
      expect(await store.endIf(by('a'), 'revoked')).toEqual({ kind: 'ended' });
      expect(await store.load(h)).toBeNull();
      expect(await store.readSession(h)).toBeNull();
    });

    test.each([
      ['nobody has begun', () => Promise.resolve()],
      ['another attempt stands', () => store.begin(by('b'), minute)],
      ['the revision moved on', () => store.commit(by('b'), tokens('sealed-2'))],
      ['the revision moved on by its own resent commit', () => store.commit(by('a'), tokens('sealed-2'))],
    ])('does not come from a refused attempt when %s', async (_case, before) => {
      await before();
      const answer = await store.endIf(by('a'), 'revoked');
      expect(answer).toMatchObject({ kind: 'kept', record: { clientId: 'shop-bff' } });
      expect(await store.readSession(h)).toBe('{"sub":"alice"}');
    });
  });

  describe('a message', () => {
    // On a Cluster the nodes need a moment until each of them reaches the one that is listened to.
    beforeEach(() => until(() => store.listening()));

    beforeEach(() => store.put(h, login));

    test('tells of each refresh, failure and end', async () => {
      await store.begin(by('a'), minute);
      await store.fail(by('a'), 1);
      await store.commit(by('a'), tokens('sealed-2'));
      await store.end(h, 'back-channel');
      await soon(() => heard.length >= 3);
      expect(heard).toEqual([
        { what: 'failed', h, revision: 1 },
        { what: 'refreshed', h, revision: 2 },
        { what: 'ended', h, reason: 'back-channel' },
      ]);
    });

    test('tells of a session that a refused refresh ended', async () => {
      await store.begin(by('a'), minute);
      await store.endIf(by('a'), 'revoked');
      await soon(() => heard.length > 0);
      expect(heard).toEqual([{ what: 'ended', h, reason: 'revoked' }]);
    });

    test('tells of an end even where there was no record any more, for those who hold a copy', async () => {
      await store.end(h, 'logout');
      await store.end(h, 'logout');
      await soon(() => heard.length >= 2);
    });

    test('is not sent for what changes nothing that anybody holds', async () => {
      await store.slide(h);
      await store.begin(by('a'), minute);
      await store.fail(by('b'), minute);
      await store.endIf(by('b'), 'revoked');
      await store.load(h);
      // The marker comes after whatever the others would have sent.
      await store.end(h, 'logout');
      await soon(() => heard.length > 0);
      expect(heard).toEqual([{ what: 'ended', h, reason: 'logout' }]);
    });

    test('reaches every listener until it stops listening, and never within the call', async () => {
      const first: StoreMessage[] = [];
      const stop = store.subscribe(hearing((message) => first.push(message)));
      const committing = store.commit(by('a'), tokens('sealed-2'));
      expect(first).toEqual([]);
      await committing;
      await soon(() => first.length === 1);
      stop();
      stop();
      await store.commit(by('b', 2), tokens('sealed-3'));
      await soon(() => heard.length === 2);
      expect(first).toHaveLength(1);
    });

    test('never carries a token', async () => {
      await store.commit(by('a'), tokens('TOK_CANARY'));
      await soon(() => heard.length > 0);
      expect(JSON.stringify(heard)).not.toContain('TOK_CANARY');
    });
  });

  describe('session records, claims, indexes, marks and tickets', () => {
    test('a session record is read as it was written, until it is deleted', async () => {
      expect(await store.readSession(h)).toBeNull();
      await store.writeSession(h, '{"sub":"älice"}', 60);
      expect(await store.readSession(h)).toBe('{"sub":"älice"}');
      await store.writeSession(h, '{"sub":"bob"}', 60);
      expect(await store.readSession(h)).toBe('{"sub":"bob"}');
      await store.deleteSession(h);
      await store.deleteSession(h);
      expect(await store.readSession(h)).toBeNull();
    });

    test('a session record lives no longer than it was given', async () => {
      await store.writeSession(h, '{}', 1);
      await soon(async () => (await store.readSession(h)) === null);
    });

    test('a session record alone is no session (SES-04)', async () => {
      await store.writeSession(h, '{}', 60);
      expect(await store.load(h)).toBeNull();
    });

    test('a claim belongs to its first claimant, who may ask again', async () => {
      expect(await store.claimOnce('tx:1', 'a', 60)).toBe(true);
      expect(await store.claimOnce('tx:1', 'b', 60)).toBe(false);
      expect(await store.claimOnce('tx:1', 'a', 60)).toBe(true);
      expect(await store.claimOnce('tx:2', 'b', 60)).toBe(true);
    });

    test('a claim has one winner of fifty', async () => {
      const claims = await Promise.all(
        Array.from({ length: 50 }, (_, i) => store.claimOnce('tx:race', `claimant-${i}`, 60)),
      );
      expect(claims.filter(Boolean)).toHaveLength(1);
    });

    test('a claim is free again after its time', async () => {
      await store.claimOnce('tx:short', 'a', 1);
      await soon(() => store.claimOnce('tx:short', 'b', 60));
      expect(await store.claimOnce('tx:short', 'a', 60)).toBe(false);
    });

    test('the index finds what was put under a key, in the order of its ends, and nothing else', async () => {
      await store.indexAdd('sub:alice', 'late', 2 * minute);
      await store.indexAdd('sub:alice', 'early', minute);
      await store.indexAdd('sub:bob', 'bobs', minute);
      expect(await store.indexFind('sub:alice')).toEqual(['early', 'late']);
      await store.indexRemove('sub:alice', 'early');
      await store.indexRemove('sub:alice', 'bobs');
      expect(await store.indexFind('sub:alice')).toEqual(['late']);
      expect(await store.indexFind('sub:bob')).toEqual(['bobs']);
      expect(await store.indexFind('sub:nobody')).toEqual([]);
    });

    test('a session is in the index once, however often it was put there', async () => {
      await store.indexAdd('sub:alice', h, minute);
      await store.indexAdd('sub:alice', h, minute);
      expect(await store.indexFind('sub:alice')).toEqual([h]);
      await store.indexRemove('sub:alice', h);
      expect(await store.indexFind('sub:alice')).toEqual([]);
    });

    test('the index forgets a session at its absolute end, and keeps those that live on', async () => {
      await store.indexAdd('sub:alice', 'short', 200);
      await store.indexAdd('sub:alice', 'long', minute);
      await soon(async () => !(await store.indexFind('sub:alice')).includes('short'));
      expect(await store.indexFind('sub:alice')).toEqual(['long']);
    });

    test('of several instants under a mark the latest stays', async () => {
      expect(await store.marked('ended:a')).toBeNull();
      await store.mark('ended:a', 1_763_640_001_000, 60);
      await store.mark('ended:a', 1_763_640_000_000, 60);
      expect(await store.marked('ended:a')).toBe(1_763_640_001_000);
      await store.mark('ended:a', 1_763_640_002_000, 60);
      expect(await store.marked('ended:a')).toBe(1_763_640_002_000);
      expect(await store.marked('ended:b')).toBeNull();
    });

    test('a mark of the instant 0 is a mark', async () => {
      await store.mark('jti:a', 0, 60);
      expect(await store.marked('jti:a')).toBe(0);
    });

    test('a mark is gone after its time', async () => {
      await store.mark('ended:short', 1, 1);
      await soon(async () => (await store.marked('ended:short')) === null);
    });

    test('a logout ticket is taken at most once, however many try', async () => {
      await store.putLogoutTicket('ticket', 'sealed', 60);
      const taken = await Promise.all(Array.from({ length: 20 }, () => store.takeLogoutTicket('ticket')));
      expect(taken.filter((sealed) => sealed !== null)).toEqual(['sealed']);
      expect(await store.takeLogoutTicket('unknown')).toBeNull();
    });

    test('a logout ticket expires', async () => {
      await store.putLogoutTicket('ticket', 'sealed', 1);
      await store.claimOnce('tx:later', 'a', 1);
      await soon(() => store.claimOnce('tx:later', 'b', 60));
      expect(await store.takeLogoutTicket('ticket')).toBeNull();
    });

    test('claims, tickets and sessions of one name do not meet', async () => {
      await store.writeSession('x', 'session', 60);
      await store.putLogoutTicket('x', 'ticket', 60);
      expect(await store.claimOnce('x', 'a', 60)).toBe(true);
      expect(await store.readSession('x')).toBe('session');
      expect(await store.takeLogoutTicket('x')).toBe('ticket');
    });

    test('two sessions share nothing', async () => {
      await store.put(h, login);
      await store.put('other', { ...login, main: 'other-sealed' });
      await store.end('other', 'logout');
      expect((await loaded()).main).toBe('sealed-1');
    });

    test('a store that answers is settled from its first connection on', async () => {
      await store.ping();
      expect(store.settled()).toBe(true);
    });
  });
}
