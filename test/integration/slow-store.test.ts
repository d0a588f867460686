// A store that is slow, not gone: waiting is no answer about a session, and neither is a caller who gave up waiting.
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createRedisStore } from '../../src/store/redis.ts';
import type { Store } from '../../src/store/store.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { newSessionKey, startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let redis: RedisServer;
let link: FaultProxy;
let provider: RealProvider;
let api: RecordingUpstream;
let postern: LocalPostern;
beforeAll(async () => {
  [redis, provider, api] = await Promise.all([startRedis(), startRealProvider(), RecordingUpstream.start()]);
  link = await startFaultProxy(redis);
  postern = await startPostern(provider, {
    redis: { url: `redis://127.0.0.1:${link.port}` },
    // Every call asks the store.
    session: { keys: [newSessionKey()], nearCache: { enabled: false } },
    routes: [{ path: '/api', upstream: api.url }],
  });
});
afterEach(() => link.heal());
afterAll(async () => {
  await postern.stop();
  await Promise.all([api.stop(), provider.close(), link.close()]);
  await redis[Symbol.asyncDispose]();
});

function storeAt(port: number): Store & AsyncDisposable {
  const store = createRedisStore({
    url: `redis://127.0.0.1:${port}`,
    now: () => performance.now(),
    random: Math.random,
  });
  return { ...store, [Symbol.asyncDispose]: () => store.close() };
}

/** Whether Redis, asked over the same link by somebody else, answered within the time that a command may take. */
async function isInTime(control: Store): Promise<boolean> {
  return control.ping().then(
    () => true,
    () => false,
  );
}

test.each([
  { roundTripMs: 200, outcome: '200', fails: false },
  // As long as a command may take: some make it.
  { roundTripMs: 500, outcome: '200 or 503', fails: true },
  { roundTripMs: 3_000, outcome: '503', fails: true },
])(
  'Redis that answers after $roundTripMs ms: a thousand calls in a second get $outcome, never a 401, and no cookie is touched (ST-10)',
  async ({ roundTripMs, outcome, fails }) => {
    const people = await Promise.all(['alice', 'bob'].map((user) => signIn(postern, provider, user)));
    await using control = storeAt(link.port);
    await until(() => isInTime(control));
    // Redis knows no script: whoever asks before it has learned them asks twice.
    await redis.command('SCRIPT', 'FLUSH');
    link.delay(roundTripMs / 2);
    const calls: ReturnType<(typeof people)[0]['call']>[] = [];
    const controls: Promise<boolean>[] = [];
    // A few at a time: a crowd of its own making would keep this process from reading what Redis has answered.
    for (let hundredth = 0; hundredth < 100; hundredth += 1) {
      for (let index = 0; index < 10; index += 1) calls.push(people[index % people.length]!.call('/api/x'));
      controls.push(isInTime(control));
      await pause(10);
    }
    const answers = await Promise.all(calls);
    // On a machine that holds everybody up for longer than a command may take, others get no answer in time either.
    const mayFail = fails || (await Promise.all(controls)).includes(false);
    const statuses = outcome === '503' ? [503] : mayFail ? [200, 503] : [200];
    expect(answers.filter(({ status }) => !statuses.includes(status))).toEqual([]);
    expect(answers.filter(({ headers }) => headers['set-cookie'] !== undefined)).toEqual([]);
    const refused = answers.filter(({ status }) => status === 503);
    for (const { body } of refused) expect(JSON.parse(body)).toMatchObject({ code: 'session_store_unavailable' });
    link.heal();
    for (const person of people) await until(async () => (await person.call('/api/x')).status === 200);
  },
);

test('a process that stood still for longer than a command may take uses the answer that has arrived meanwhile', async () => {
  await using store = storeAt(redis.port);
  // From now on Redis knows the script: one round trip.
  await until(() => isInTime(store));
  expect(await store.load('nobody')).toBeNull();
  const asked = store.load('nobody');
  // What has been asked leaves in this turn of the event loop.
  await new Promise(setImmediate);
  const end = performance.now() + 700;
  while (performance.now() < end);
  expect(await asked).toBeNull();
});

test('a question that waits in this process before it leaves has all of its time from then on', async () => {
  await using store = storeAt(redis.port);
  await until(() => isInTime(store));
  const asked = store.load('nobody');
  // A crowd that is answered in one turn of the event loop: what it has asked leaves at the end of it.
  const end = performance.now() + 700;
  while (performance.now() < end);
  expect(await asked).toBeNull();
});

test('callers who hang up while their session is being loaded take nothing with them (S-15)', async () => {
  const alice = await signIn(postern, provider);
  // In any order: Redis changes it while it grows.
  const keys = async () => new Set((await redis.command('KEYS', 'postern:{*')) as string[]);
  const records = await keys();
  const asked = api.requests.length;
  link.silence();
  const hangUp = new AbortController();
  const calls = Array.from({ length: 50 }, () => alice.call('/api/x', { signal: hangUp.signal }));
  const questions = Array.from({ length: 50 }, () => alice.call('/bff/session', { signal: hangUp.signal }));
  const given = Promise.allSettled([...calls, ...questions]);
  await pause(300);
  hangUp.abort();
  expect(new Set((await given).map(({ status }) => status))).toEqual(new Set(['rejected']));
  link.heal();
  await until(async () => (await alice.call('/api/x')).status === 200);
  expect(api.requests.length - asked).toBe(1);
  expect(await keys()).toEqual(records);
});
