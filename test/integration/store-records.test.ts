// What every store keeps of a session: its record as it was put, for as long as it may live, and nothing once it has ended.
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { AttemptRef, Store } from '../../src/store/store.ts';
import { describeEachStore, type StoreUnderTest } from '../support/each-store.ts';
import { login, minute } from '../support/token-record.ts';

describeEachStore((open) => {
  let subject: StoreUnderTest;
  let store: Store;
  let h: string;
  beforeEach(async () => {
    subject = await open();
    ({ store, h } = subject);
  });
  const soon: StoreUnderTest['soon'] = (check) => subject.soon(check);
  const loaded = () => subject.loaded();
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
        endsAt: record.refreshedAt + 43_200_000,
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

    test('is not over with the refresh token’s while that is being spent: nobody is logged out by a race, and no rotated token is lost (TK-06, TK-08)', async () => {
      await store.put(h, { ...login, refreshExpiresInMs: 1_000 });
      await store.begin(by('a'), minute);
      await soon(async () => {
        const { now, refreshedAt } = await loaded();
        return now - refreshedAt > 1_050;
      });
      const committed = await store.commit(by('a'), { ...tokens('second'), refreshExpiresInMs: minute });
      expect(committed).toMatchObject({ kind: 'committed', record: { main: 'second' } });
    });

    test('is over with it when that refresh has failed, and with the absolute one in any case (BFF-09)', async () => {
      await store.put(h, { ...login, refreshExpiresInMs: 1_000 });
      await store.begin(by('a'), minute);
      await store.fail(by('a'), 1);
      await soon(async () => (await store.load(h)) === null);

      await store.put(h, { ...login, refreshExpiresInMs: 500, absoluteMs: 1_000 });
      await store.begin(by('a'), minute);
      expect((await loaded()).ttlMs).toBeLessThanOrEqual(1_000);
      await soon(async () => (await store.load(h)) === null);
    });

    test('tells its idle time apart from the refresh token’s, which a refresh may move: activity is noted all the same (SES-05)', async () => {
      await store.put(h, { ...login, refreshExpiresInMs: 10 * minute });
      const { ttlMs, endsAt, absoluteExpiresAt, refreshedAt } = await loaded();
      expect(ttlMs).toBeGreaterThan(20 * minute);
      expect(endsAt - refreshedAt).toBe(10 * minute);
      expect(absoluteExpiresAt - refreshedAt).toBe(login.absoluteMs);
    });

    test('goes on when a refresh brings a token of a later end, and never beyond the absolute one (BFF-09)', async () => {
      await store.put(h, { ...login, refreshExpiresInMs: 40_000 });
      const left = async (): Promise<number> => {
        const { endsAt, refreshedAt } = await loaded();
        return endsAt - refreshedAt;
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

    test('of one session touches no other', async () => {
      await store.put('other', { ...login, main: 'other-sealed' });
      await store.end('other', 'logout');
      expect((await loaded()).main).toBe('sealed-1');
      expect(await store.readSession(h)).toBe('{"sub":"alice"}');
    });
  });
});
