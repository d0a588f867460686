import { expect, test } from '@jest/globals';
import { ExpiringMap } from '../../../src/store/expiring-map.ts';

function mapAt(start: number) {
  const clock = { at: start };
  return { clock, map: new ExpiringMap<string>(() => clock.at) };
}

test('an entry is there until its instant, and not at it', () => {
  const { clock, map } = mapAt(100);
  map.set('a', 'value', 50);
  expect(map.expiresAt('a')).toBe(150);
  clock.at = 149;
  expect(map.get('a')).toBe('value');
  clock.at = 150;
  expect(map.get('a')).toBeUndefined();
  expect(map.expiresAt('a')).toBeUndefined();
});

test('a dead entry is not brought back by a new life, and is no success to delete', () => {
  const { clock, map } = mapAt(0);
  map.set('a', 'value', 10);
  map.set('b', 'value', 10);
  clock.at = 10;
  map.expire('a', 1_000);
  expect(map.get('a')).toBeUndefined();
  expect(map.delete('b')).toBe(false);
});

test('entries that nobody reads any more leave memory, whatever is added meanwhile (DL-10)', () => {
  const { clock, map } = mapAt(0);
  for (let i = 0; i < 10_000; i += 1) map.set(`old-${i}`, 'value', 10);
  clock.at = 10;
  for (let sweeps = 0; sweeps < 30; sweeps += 1) {
    map.set(`new-${sweeps}`, 'value', 1_000);
    map.sweep();
  }
  expect(map.size).toBe(30);
  expect(map.get('new-0')).toBe('value');
});

test('one sweep has a bounded cost', () => {
  const { clock, map } = mapAt(0);
  for (let i = 0; i < 10_000; i += 1) map.set(`old-${i}`, 'value', 10);
  clock.at = 10;
  map.sweep();
  expect(map.size).toBe(9_000);
});
