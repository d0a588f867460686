// The rules of a refresh are written twice, in Lua and in TypeScript. Here they are held against each other.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { AttemptRef, Store, StoreMessage } from '../../src/store/store.ts';
import { until } from '../support/until.ts';
import { startRedis } from '../support/redis.ts';
import { openMemoryStore, openRedisStore, hearing } from '../support/stores.ts';

interface Operation {
  name: 'put' | 'begin' | 'commit' | 'fail' | 'endIf' | 'end' | 'slide';
  attempt: AttemptRef;
  spanMs: number;
}

const operations = fc.array(
  fc.record<Operation>({
    name: fc.constantFrom('put', 'begin', 'begin', 'commit', 'fail', 'endIf', 'end', 'slide'),
    attempt: fc.record({
      h: fc.constantFrom('x', 'y'),
      revision: fc.integer({ min: 1, max: 3 }),
      owner: fc.constantFrom('a', 'b'),
    }),
    // Long, or over at once: what the clocks of the two stores say is never compared.
    spanMs: fc.constantFrom(0, 60_000),
  }),
  { minLength: 1, maxLength: 30 },
);
// Its message comes after all the others.
const last: Operation = { name: 'end', attempt: { h: 'last', revision: 1, owner: 'a' }, spanMs: 0 };

test('both stores give the same answers and messages to any sequence of operations', async () => {
  await using redis = await startRedis();
  const onRedis = await openRedisStore(redis);
  let heardOnRedis: StoreMessage[] = [];
  onRedis.store.subscribe(hearing((message) => heardOnRedis.push(message)));

  await fc.assert(
    fc.asyncProperty(operations, async (sequence) => {
      await redis.command('FLUSHALL');
      heardOnRedis = [];
      const inMemory = openMemoryStore();
      const heardInMemory: StoreMessage[] = [];
      inMemory.store.subscribe(hearing((message) => heardInMemory.push(message)));

      for (const operation of [...sequence, last]) {
        const expected = await outcome(inMemory.store, operation);
        expect(await outcome(onRedis.store, operation)).toEqual(expected);
      }
      await until(() => heardOnRedis.some(({ h }) => h === last.attempt.h));
      expect(heardOnRedis).toEqual(heardInMemory);
      await inMemory.close();
    }),
    { numRuns: 100 },
  );
  await onRedis.close();
});

/** The answer and the record after it, without what depends on the clock. */
async function outcome(store: Store, operation: Operation): Promise<unknown> {
  const answer = await perform(store, operation);
  const record = await store.load(operation.attempt.h);
  return JSON.parse(
    JSON.stringify({ answer, record }, (key, value: unknown) => (/At$|Ms$|^now$/.test(key) ? true : value)),
  );
}

async function perform(store: Store, { name, attempt, spanMs }: Operation): Promise<unknown> {
  const { h, owner } = attempt;
  switch (name) {
    case 'put':
      return store.put(h, {
        main: `login ${owner}`,
        expiresInMs: 300_000,
        idleMs: 60_000,
        absoluteMs: 600_000,
        clientId: 'shop-bff',
        issuer: 'https://id.example.com',
      });
    case 'begin':
      return store.begin(attempt, spanMs);
    case 'commit':
      return store.commit(attempt, { main: `refresh ${owner}`, expiresInMs: spanMs === 0 ? undefined : spanMs });
    case 'fail':
      return store.fail(attempt, spanMs);
    case 'endIf':
      return store.endIf(attempt, 'revoked');
    case 'end':
      return store.end(h, 'logout');
    case 'slide':
      return store.slide(h);
  }
}
