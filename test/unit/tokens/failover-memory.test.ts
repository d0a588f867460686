import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { StoreUnavailable } from '../../../src/store/store.ts';
import { createFailoverMemory } from '../../../src/tokens/failover-memory.ts';

const minute = 60_000;
let clock = 0;
let isAway = false;
let deleted: string[] = [];

const memory = () =>
  createFailoverMemory({
    store: {
      end: (h) => {
        if (isAway) return Promise.reject(new StoreUnavailable(new Error('away')));
        deleted.push(h);
        return Promise.resolve(true);
      },
      restore: () => Promise.resolve(),
    },
    now: () => clock,
  });

beforeEach(() => {
  jest.useFakeTimers();
  [clock, isAway, deleted] = [0, false, []];
});
afterEach(() => {
  jest.useRealTimers();
});

async function later(ms: number): Promise<void> {
  clock += ms;
  await jest.advanceTimersByTimeAsync(ms);
}

test('a logout during an outage of an hour is refused all the while, and deleted when the store is back', async () => {
  isAway = true;
  const failover = memory();
  failover.ended('alice', 'logout', 'pending');
  for (let passed = 0; passed < 60; passed += 1) {
    await later(minute);
    expect(failover.hasEnded('alice')).toBe(true);
  }
  isAway = false;
  await later(2_000);
  expect(deleted).toEqual(['alice']);
  expect(failover.hasEnded('alice')).toBe(true);
  failover.close();
});

test('a confirmed end is refused for five minutes, and a reconnect does not lengthen that', async () => {
  const failover = memory();
  failover.ended('bob', 'logout', 'confirmed');
  await later(4 * minute);
  failover.reconnect();
  await later(2_000);
  expect(deleted).toEqual(['bob']);
  expect(failover.hasEnded('bob')).toBe(true);
  await later(minute);
  expect(failover.hasEnded('bob')).toBe(false);
  failover.close();
});
