// Replacing the server key while people are signed in, on two replicas that learn of it minutes apart, on one real Redis.
import { afterAll, beforeAll, beforeEach, afterEach, expect, test } from '@jest/globals';
import { createKeyRing } from '../../src/tokens/key-ring.ts';
import { logIn, openBrowser, startLogin } from '../support/browser-login.ts';
import { freePort } from '../support/free-port.ts';
import { newSessionKey, register, startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { expireToken, tokensKeyOf as tokensKey } from '../support/token-age.ts';
import { RecordingUpstream } from '../support/upstream.ts';

const minute = 60_000;
const oldKey = newSessionKey();
const newKey = newSessionKey();
let provider: RealProvider;
let redis: RedisServer;
let api: RecordingUpstream;
let first: LocalPostern;
let second: LocalPostern;
let clock: number;

beforeAll(async () => {
  [provider, redis] = await Promise.all([startRealProvider(), startRedis()]);
  api = await RecordingUpstream.start();
});
afterAll(async () => {
  await provider.close();
  await redis[Symbol.asyncDispose]();
  await api.stop();
});

beforeEach(async () => {
  clock = 0;
  const publicUrl = `http://localhost:${await freePort()}`;
  register(provider, publicUrl);
  const start = (): Promise<LocalPostern> =>
    startPostern(
      provider,
      {
        publicUrl,
        listen: '127.0.0.1:0',
        redis: { url: redis.url },
        session: { keys: [oldKey] },
        routes: [{ path: '/api', upstream: api.url }],
      },
      { keyClock: () => clock },
    );
  [first, second] = await Promise.all([start(), start()]);
});
afterEach(async () => {
  await Promise.all([first.stop(), second.stop()]);
});

const idOf = (key: string): string => createKeyRing({ keys: [key], now: () => 0 }).signing().id;
const sealedUnder = async (person: SignedIn): Promise<string | undefined> =>
  String(await redis.command('HGET', tokensKey(person), 'main')).split('.')[1];

/** A call that finds the token expired, and so waits for its refresh. */
async function refresh(person: SignedIn, on: LocalPostern): Promise<void> {
  await expireToken(person, redis, [on]);
  expect((await person.call('/api/x', { on })).status).toBe(200);
}

async function answersOf(person: SignedIn): Promise<number[]> {
  const answers = await Promise.all([first, second].map((on) => person.call('/api/x', { on })));
  return answers.map(({ status }) => status);
}

test('replicas that reload nine minutes apart log nobody out: not before, between or after the new key signs (S-22, S-19)', async () => {
  const people = [await signIn(first, provider)];
  const everybody = async (): Promise<number[]> => (await Promise.all(people.map(answersOf))).flat();

  first.ring.replace([newKey, oldKey]);
  people.push(await signIn(first, provider));
  await refresh(people[0]!, first);
  expect(new Set(await everybody())).toEqual(new Set([200]));

  clock += 9 * minute;
  people.push(await signIn(first, provider));
  expect(new Set(await everybody())).toEqual(new Set([200]));
  second.ring.replace([newKey, oldKey]);

  clock += 2 * minute;
  const latest = await signIn(first, provider);
  people.push(latest, await signIn(second, provider));
  expect(await sealedUnder(latest)).toBe(idOf(newKey));
  expect(new Set(await everybody())).toEqual(new Set([200]));

  clock += 10 * minute;
  people.push(await signIn(second, provider));
  expect(new Set(await everybody())).toEqual(new Set([200]));
});

test('a session lives through the change, and its tokens are sealed under the new key from the next refresh on (SES-14, SEC-01)', async () => {
  const alice = await signIn(first, provider);
  first.ring.replace([newKey, oldKey]);
  clock += 10 * minute;
  expect((await alice.call('/api/x')).status).toBe(200);
  expect(await sealedUnder(alice)).toBe(idOf(oldKey));
  await refresh(alice, first);
  expect(await sealedUnder(alice)).toBe(idOf(newKey));
  expect((await alice.call('/api/x')).status).toBe(200);
});

test('once the new key signs, a login needs the old one no more: cookie and tokens are under the new key alone', async () => {
  first.ring.replace([newKey, oldKey]);
  clock += 10 * minute;
  const alice = await signIn(first, provider);
  first.ring.replace([newKey]);
  expect((await alice.call('/api/x')).status).toBe(200);
});

test('a cookie under a key that was taken out: 401 session_required, nothing deleted, and one login mends it (S-22)', async () => {
  const browser = openBrowser(first);
  await logIn(browser, provider);
  const unfinished = await startLogin(browser);
  const records = await redis.command('KEYS', 'postern:{*');
  first.ring.replace([newKey]);

  const answer = await browser.fetch('/api/x');
  expect([answer.status, answer.json().code, answer.setCookies]).toEqual([401, 'session_required', []]);
  expect((await browser.fetch('/bff/session')).json()).toMatchObject({ authenticated: false });
  expect(await redis.command('KEYS', 'postern:{*')).toEqual(records);
  // The login that was under way with the old key is over; the next one is not held up by what it left behind.
  const late = await browser.step(await provider.visit(unfinished, { user: 'alice' }), { from: provider.issuer });
  expect([late.status, (await browser.fetch('/api/x')).status]).toEqual([400, 401]);
  expect((await logIn(browser, provider)).status).toBe(303);
  expect((await browser.fetch('/api/x')).status).toBe(200);
});

test('an operator ends every session of everybody at once by putting other keys in the place of all (SES-09)', async () => {
  const people = await Promise.all(['alice', 'bob'].map((user) => signIn(first, provider, user)));
  for (const { ring } of [first, second]) ring.replace([newKey]);
  expect((await Promise.all(people.map(answersOf))).flat()).toEqual([401, 401, 401, 401]);
  const alice = await signIn(second, provider);
  expect(await answersOf(alice)).toEqual([200, 200]);
});

test('a record under a key that this replica does not know: 401 here and counted, kept, and good on the others (S-17, S-22)', async () => {
  const alice = await signIn(second, provider);
  second.ring.replace([newKey, oldKey]);
  clock += 10 * minute;
  await refresh(alice, second);
  const before = await redis.command('HGETALL', tokensKey(alice));

  const answer = await alice.call('/api/x', { on: first });
  expect([answer.status, JSON.parse(answer.body).code]).toEqual([401, 'session_expired']);
  expect(answer.headers).not.toHaveProperty('set-cookie');
  expect(await first.metric('postern_sessions_unreadable_total')).toEqual(['postern_sessions_unreadable_total 1']);
  expect(await redis.command('HGETALL', tokensKey(alice))).toEqual(before);
  expect((await alice.call('/api/x', { on: second })).status).toBe(200);

  first.ring.replace([newKey, oldKey]);
  expect((await alice.call('/api/x', { on: first })).status).toBe(200);
});
