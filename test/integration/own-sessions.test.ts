import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Browser } from '../support/browser.ts';
import { newSessionKey } from '../support/postern.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { until } from '../support/until.ts';

let redis: RedisServer;
let party: RelyingParty;
beforeAll(async () => {
  redis = await startRedis();
  party = await startRelyingParty({ config: () => ({ redis: { url: redis.url } }) });
});
beforeEach(() => redis.command('FLUSHALL'));
afterAll(async () => {
  await party[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

async function login(sub: string, at: RelyingParty = party): Promise<Browser> {
  at.op.does.idToken = { sub };
  at.op.does.userinfo = { sub };
  return at.signedInBrowser();
}
const isIn = async (browser: Browser, at: RelyingParty = party): Promise<boolean> =>
  (await at.bearerOf(browser)) !== undefined;
const handleOf = async (browser: Browser): Promise<string> =>
  ((await browser.fetch('/bff/session')).json() as { session: { handle: string } }).session.handle;
const list = async (browser: Browser) =>
  (
    (await browser.fetch('/bff/sessions')).json() as {
      sessions: { handle: string; createdAt: string; device: string; current: boolean }[];
    }
  ).sessions;

test('a user sees the own sessions, the oldest first, and which of them is this one (SES-10)', async () => {
  const [desktop, phone] = [await login('alice'), await login('alice')];
  await login('bob');
  expect(await list(phone)).toEqual([
    {
      handle: await handleOf(desktop),
      createdAt: expect.any(String),
      device: expect.stringContaining('Mozilla'),
      current: false,
    },
    {
      handle: await handleOf(phone),
      createdAt: expect.any(String),
      device: expect.stringContaining('Mozilla'),
      current: true,
    },
  ]);
  expect(Math.abs(Date.parse((await list(phone))[0]!.createdAt) - Date.now())).toBeLessThan(100_000);
});

test('nothing in the list opens a session or names it in the store (SES-10)', async () => {
  const browser = await login('alice');
  const text = (await browser.fetch('/bff/sessions')).body;
  const sessionId = decodeURIComponent(party.sessionCookieOf(browser)!).slice(2).split('.')[0]!;
  const [key] = (await redis.command('KEYS', 'postern:{*}:tokens')) as string[];
  expect(text).not.toContain(sessionId);
  expect(text).not.toContain(/\{(.*)\}/.exec(key!)![1]!);
});

test('ending one session by its handle logs that device out and no other (SES-10)', async () => {
  const [desktop, phone, bob] = [await login('alice'), await login('alice'), await login('bob')];
  const answer = await phone.fetch(`/bff/sessions/${await handleOf(desktop)}`, { method: 'DELETE' });
  expect(answer).toMatchObject({ status: 200 });
  expect(answer.json()).toEqual({ ended: 1 });
  expect([await isIn(desktop), await isIn(phone), await isIn(bob)]).toEqual([false, true, true]);
  expect(await list(phone)).toHaveLength(1);
});

test('ending all others leaves this session and other users’ (SES-10)', async () => {
  const [desktop, tablet, phone, bob] = [
    await login('alice'),
    await login('alice'),
    await login('alice'),
    await login('bob'),
  ];
  expect((await phone.fetch('/bff/sessions', { method: 'DELETE' })).json()).toEqual({ ended: 2 });
  expect([await isIn(desktop), await isIn(tablet), await isIn(phone), await isIn(bob)]).toEqual([
    false,
    false,
    true,
    true,
  ]);
});

test('a handle of somebody else’s session is no handle', async () => {
  const [alice, bob] = [await login('alice'), await login('bob')];
  const answer = await alice.fetch(`/bff/sessions/${await handleOf(bob)}`, { method: 'DELETE' });
  expect(answer.json()).toMatchObject({ status: 404, code: 'no_route' });
  expect(await isIn(bob)).toBe(true);
});

test('without a session, and with one that has ended, there is nothing to see', async () => {
  expect((await party.openBrowser().fetch('/bff/sessions')).json()).toMatchObject({ code: 'session_required' });
  const browser = await login('alice');
  await redis.command('FLUSHALL');
  // What the process has at hand lives for five seconds at most.
  await until(async () => (await browser.fetch('/bff/sessions')).status === 401);
  expect((await browser.fetch('/bff/sessions', { method: 'DELETE' })).json()).toMatchObject({
    code: 'session_expired',
  });
});

test('another site can neither list nor end sessions (CSRF-01)', async () => {
  const browser = await login('alice');
  for (const [path, method] of [
    ['/bff/sessions', 'GET'],
    ['/bff/sessions', 'DELETE'],
    ['/bff/sessions/x', 'DELETE'],
  ] as const) {
    const headers = { 'sec-fetch-site': 'same-site' };
    expect((await browser.fetch(path, { method, headers })).json()).toMatchObject({ code: 'csrf_rejected' });
  }
  expect(await isIn(browser)).toBe(true);
});

test('a method that the address does not have is answered with those that it has', async () => {
  const answer = await (await login('alice')).fetch('/bff/sessions', { method: 'POST' });
  expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET, DELETE' } });
});

test('with the store away nothing is ended and nobody is logged out', async () => {
  const browser = await login('alice');
  redis.freeze();
  try {
    expect((await browser.fetch('/bff/sessions')).json()).toMatchObject({ code: 'session_store_unavailable' });
  } finally {
    redis.thaw();
  }
  await until(async () => (await browser.fetch('/bff/sessions')).status === 200);
});

test('logged-out, replaced and expired sessions leave nothing in the index', async () => {
  const browser = await login('alice');
  await party.logIn(browser); // Replaces the session.
  expect(await list(browser)).toHaveLength(1);
  const [key] = (await redis.command('KEYS', 'postern:sub:*')) as string[];
  expect(await redis.command('ZCARD', key!)).toBe(1);
  await browser.fetch('/bff/logout', { method: 'POST' });
  expect(await redis.command('KEYS', 'postern:sub:*')).toEqual([]);
});

test('a login beyond the limit ends the oldest session of that user, and of nobody else (SES-11)', async () => {
  await using limited = await startRelyingParty({
    config: () => ({ session: { keys: [newSessionKey()], maxPerUser: 2 } }),
  });
  const bob = await login('bob', limited);
  const [first, second] = [await login('alice', limited), await login('alice', limited)];
  expect([await isIn(first, limited), await isIn(second, limited)]).toEqual([true, true]);
  const third = await login('alice', limited);
  expect([await isIn(first, limited), await isIn(second, limited), await isIn(third, limited)]).toEqual([
    false,
    true,
    true,
  ]);
  expect(await isIn(bob, limited)).toBe(true);
  expect(await limited.postern.metric('postern_logouts_total{reason="limit"}')).toEqual([
    'postern_logouts_total{reason="limit"} 1',
  ]);
});

test('a login again in the same browser does not count twice (SES-11)', async () => {
  await using limited = await startRelyingParty({
    config: () => ({ session: { keys: [newSessionKey()], maxPerUser: 2 } }),
  });
  const [desktop, phone] = [await login('alice', limited), await login('alice', limited)];
  for (let turn = 0; turn < 3; turn += 1) await limited.logIn(phone);
  expect([await isIn(desktop, limited), await isIn(phone, limited)]).toEqual([true, true]);
});
