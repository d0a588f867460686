import { expect, test } from '@jest/globals';
import { createSessionLimit } from '../../../src/login/session-limit.ts';
import { createSessionIndex } from '../../../src/session/session-index.ts';
import type { SessionRecord } from '../../../src/session/session.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { createLogger } from '../../../src/telemetry/log.ts';

const alice: SessionRecord = {
  iss: 'https://id.example.com',
  sub: 'alice',
  claims: { sub: 'alice' },
  clientId: 'shop',
  createdAt: 1_750_000_000_000,
  issuedAt: 1_750_000_000_000,
  device: 'a browser',
};

/** Logins of one user, told by their instants, of which the last to be written is the one whose limit is kept: gives what that ends. */
async function endedBy(most: number, createdAt: Record<string, number>): Promise<string[]> {
  const store = createMemoryStore({ now: () => alice.createdAt });
  // Each has less time than the one before: `session.absoluteTimeout` is lowered all the time.
  let absoluteSeconds = 7_200;
  const ended: string[] = [];
  const limitSessions = createSessionLimit({
    most,
    index: createSessionIndex({ store, absoluteSeconds }),
    endSession: (h) => Promise.resolve((ended.push(h), 'ended')),
    log: createLogger({ level: 'error', format: 'json', access: false }),
  });
  for (const [h, seconds] of Object.entries(createdAt)) {
    const record = { ...alice, createdAt: alice.createdAt + seconds * 1_000 };
    await store.writeSession(h, JSON.stringify(record), 600);
    await createSessionIndex({ store, absoluteSeconds: (absoluteSeconds -= 600) }).add(h, record);
  }
  await limitSessions(alice, Object.keys(createdAt).at(-1)!);
  return ended;
}

test('a login beyond the limit ends the oldest session, and never itself, after the longest life was lowered (SES-11)', async () => {
  expect(await endedBy(2, { first: 0, second: 10, third: 20 })).toEqual(['first']);
  expect(await endedBy(1, { first: 0, second: 10, third: 20 })).toEqual(['first', 'second']);
});

test('a login on a replica whose clock is behind does not end itself (SES-11)', async () => {
  expect(await endedBy(1, { first: 10, behind: 0 })).toEqual([]);
});
