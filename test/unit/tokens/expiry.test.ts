import { describe, expect, test } from '@jest/globals';
import { freshnessOf, isSlideDue, remainingOf } from '../../../src/tokens/expiry.ts';

const minute = 60_000;
const login = 1_000_000_000;
const record = {
  refreshedAt: login,
  expiresAt: login + 5 * minute,
  absoluteExpiresAt: login + 12 * 60 * minute,
  endsAt: login + 12 * 60 * minute,
  idleMs: 30 * minute,
};

describe('a five-minute token that is to be refreshed a minute before its end', () => {
  test('is fresh until then', () => {
    expect(freshnessOf(record, login + 4 * minute - 1, minute)).toBe('fresh');
  });
  test('is due in its last minute: used, and refreshed in the background (TK-11)', () => {
    expect(freshnessOf(record, login + 4 * minute, minute)).toBe('due');
    expect(freshnessOf(record, login + 5 * minute - 1, minute)).toBe('due');
  });
  test('is expired at its end', () => {
    expect(freshnessOf(record, login + 5 * minute, minute)).toBe('expired');
  });
});

test('a short token is due in its last fifth, however early refreshBefore says', () => {
  const short = { ...record, expiresAt: login + 15_000 };
  expect(freshnessOf(short, login + 11_999, minute)).toBe('fresh');
  expect(freshnessOf(short, login + 12_000, minute)).toBe('due');
});

test('a token without expires_in is never due (OA-14)', () => {
  expect(freshnessOf({ ...record, expiresAt: undefined }, login + 1e12, minute)).toBe('fresh');
});

test('a provider that hands out stale tokens is not asked again within two seconds', () => {
  const stale = { ...record, expiresAt: login };
  expect(freshnessOf(stale, login + 1_999, minute)).toBe('fresh');
  expect(freshnessOf(stale, login + 2_000, minute)).toBe('expired');
});

test('activity is written at most once a minute', () => {
  expect(isSlideDue(record, login + minute - 1, 29 * minute + 1)).toBe(false);
  expect(isSlideDue(record, login + minute, 29 * minute)).toBe(true);
});

test('activity on a short idle time is written every tenth of it', () => {
  const short = { ...record, idleMs: 10_000 };
  expect(isSlideDue(short, login, 9_001)).toBe(false);
  expect(isSlideDue(short, login, 9_000)).toBe(true);
});

test('activity near the absolute end is not written at every call (SES-06)', () => {
  const now = record.absoluteExpiresAt - minute;
  expect(isSlideDue(record, now, minute)).toBe(false);
});

test('spans that have run out are shown as zero, never negative', () => {
  expect(remainingOf(record, record.absoluteExpiresAt + 1, -5)).toEqual({ idle: 0, absolute: 0, accessToken: 0 });
});
