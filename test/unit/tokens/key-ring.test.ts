import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createBox } from '../../../src/tokens/seal.ts';
import { createKeyRing } from '../../../src/tokens/key-ring.ts';

const minute = 60_000;
const [oldKey, newKey, nextKey] = Array.from({ length: 3 }, () => randomBytes(32).toString('base64')) as [
  string,
  string,
  string,
];

/** A ring under a clock of the test's, and how to tell its keys. */
function ringOf(...keys: string[]) {
  const clock = { now: 5_000 };
  const ring = createKeyRing({ keys, now: () => clock.now });
  const signer = (): string | undefined => [oldKey, newKey, nextKey].find((key) => idOf(key) === ring.signing().id);
  return { ring, clock, signer };
}

const idOf = (key: string): string => createKeyRing({ keys: [key], now: () => 0 }).signing().id;

test('a single key signs at once', () => {
  expect(ringOf(oldKey).signer()).toBe(oldKey);
});

test('at the start a new key only opens, and signs once it has been known for ten minutes beside an older one (S-22)', () => {
  const { clock, signer } = ringOf(newKey, oldKey);
  expect(signer()).toBe(oldKey);
  clock.now += 10 * minute - 1;
  expect(signer()).toBe(oldKey);
  clock.now += 1;
  expect(signer()).toBe(newKey);
});

test('a process that starts with three keys never signs with the third, so that one can go at the next change (S-22)', () => {
  const { clock, signer } = ringOf(nextKey, newKey, oldKey);
  expect(signer()).toBe(newKey);
  clock.now += 10 * minute;
  expect(signer()).toBe(nextKey);
});

test('a key that comes while the process runs waits its own ten minutes (S-22)', () => {
  const { ring, clock, signer } = ringOf(oldKey);
  clock.now += 60 * minute;
  ring.replace([newKey, oldKey]);
  expect(signer()).toBe(oldKey);
  clock.now += 10 * minute;
  expect(signer()).toBe(newKey);
});

test('a key that comes to a process of two minutes waits too', () => {
  const { ring, clock, signer } = ringOf(oldKey);
  clock.now += 2 * minute;
  ring.replace([newKey, oldKey]);
  expect(signer()).toBe(oldKey);
  clock.now += 9 * minute;
  expect(signer()).toBe(oldKey);
  clock.now += minute;
  expect(signer()).toBe(newKey);
});

test('a third key does not hurry the second one', () => {
  const { ring, clock, signer } = ringOf(oldKey);
  ring.replace([newKey, oldKey]);
  clock.now += 5 * minute;
  ring.replace([nextKey, newKey, oldKey]);
  expect(signer()).toBe(oldKey);
  clock.now += 5 * minute;
  expect(signer()).toBe(newKey);
  clock.now += 5 * minute;
  expect(signer()).toBe(nextKey);
});

test('reading the same files again does not start the wait anew', () => {
  const { ring, clock, signer } = ringOf(newKey, oldKey);
  clock.now += 9 * minute;
  ring.replace([newKey, oldKey]);
  clock.now += minute;
  expect(signer()).toBe(newKey);
});

test('when no older key is left, the new one signs at once', () => {
  const { ring, signer } = ringOf(oldKey);
  ring.replace([newKey]);
  expect(signer()).toBe(newKey);
});

test('every key of the ring opens; one that was taken out opens nothing from that moment (S-22, SEC-01)', () => {
  const { ring, clock } = ringOf(newKey, oldKey);
  const box = createBox(ring, 'transaction');
  const sealedByOld = box.seal('x', '');
  clock.now += 10 * minute;
  const sealedByNew = box.seal('x', '');
  expect(sealedByNew.split('.')[1]).toBe(idOf(newKey));
  expect([box.open(sealedByOld, ''), box.open(sealedByNew, '')]).toEqual(['x', 'x']);
  ring.replace([newKey]);
  expect([box.open(sealedByOld, ''), box.open(sealedByNew, '')]).toEqual([null, 'x']);
});

test('the cookie secrets are the same array until a key changes, the signing key’s first', () => {
  const { ring, clock } = ringOf(newKey, oldKey);
  const before = ring.cookieSecrets();
  expect(ring.cookieSecrets()).toBe(before);
  expect(before).toHaveLength(2);
  clock.now += 10 * minute;
  expect(ring.cookieSecrets()).toEqual(before.toReversed());
  ring.replace([newKey]);
  expect(ring.cookieSecrets()).toEqual([before[1]]);
});
