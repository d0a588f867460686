// What every store keeps besides tokens: session records, claims, the index, marks and logout tickets, each for its time.
import { beforeEach, expect, test } from '@jest/globals';
import type { Store } from '../../src/store/store.ts';
import { describeEachStore, type StoreUnderTest } from '../support/each-store.ts';
import { minute } from '../support/token-record.ts';

describeEachStore((open) => {
  let subject: StoreUnderTest;
  let store: Store;
  let h: string;
  beforeEach(async () => {
    subject = await open();
    ({ store, h } = subject);
  });
  const soon: StoreUnderTest['soon'] = (check) => subject.soon(check);

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

  test('a store that answers is settled from its first connection on', async () => {
    await store.ping();
    expect(store.settled()).toBe(true);
  });
});
