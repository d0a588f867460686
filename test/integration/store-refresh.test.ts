// One refresh at a time, in every store: who may begin it, what comes of it, and who hears of that.
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { AttemptRef, Store, StoreMessage } from '../../src/store/store.ts';
import { describeEachStore, type StoreUnderTest } from '../support/each-store.ts';
import { hearing } from '../support/stores.ts';
import { login, minute } from '../support/token-record.ts';
import { until } from '../support/until.ts';

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

  describe('a message', () => {
    let heard: StoreMessage[];
    beforeEach(() => {
      heard = [];
      // A node of a Cluster may pass on late what an earlier test has sent through another one.
      store.subscribe(hearing((message) => message.h === h && heard.push(message)));
    });
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
});
