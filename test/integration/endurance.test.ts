// Everything at once for a while, in short: `npm run soak` does it for ten minutes, and holds memory to its bounds.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { endure } from '../soak/endurance.ts';
import { startHouse } from '../soak/house.ts';
import type { House } from '../soak/house.ts';

let house: House;
beforeAll(async () => {
  house = await startHouse();
}, 180_000);
afterAll(() => house.close());

test('calls, refreshes, logins, uploads, downloads, streams, WebSockets and people who hang up: everybody gets their own answers, and nothing stays behind (PX-09, CS-13, DL-08, DL-10)', async () => {
  const { outcomes, violations, left, before, after } = await endure({
    house,
    people: 8,
    warmUpMs: 4_000,
    durationMs: 12_000,
    sessionMs: 4_000,
    readEveryMs: 5_000,
    restMs: 30_000,
  });
  expect(violations).toEqual([]);
  const acts = new Set(Array.from(outcomes.keys(), (outcome) => outcome.split(':', 1)[0]));
  expect(acts).toEqual(
    new Set([...acts, 'login', 'logout', 'GET', 'POST', 'refresh', 'upload', 'download', 'WebSocket']),
  );
  expect(left).toEqual([]);
  // Generous: in so short a time the process is still warming up.
  expect(after.heapMb - before.heapMb).toBeLessThan(10);
}, 240_000);
