import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { copyOf } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { postLogoutToken } from '../support/logout-token.ts';
import { newSessionKey, startPostern } from '../support/postern.ts';
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
beforeEach(async () => {
  await redis.command('FLUSHALL');
  delete party.op.does.idToken;
  delete party.op.does.userinfo;
  party.op.endpoints.requests.length = 0;
});
afterEach(() => party.op.endpoints.behaviours.jwks.recover());
afterAll(async () => {
  await party[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

/** Logs somebody in, in a browser of their own. */
async function login(sub: string, claims: { sid?: string; iat?: number } = {}): Promise<Browser> {
  party.op.does.idToken = { sub, ...claims };
  party.op.does.userinfo = { sub };
  return party.signedInBrowser();
}
const isIn = async (browser: Browser): Promise<boolean> => (await party.bearerOf(browser)) !== undefined;
const seconds = (fromNow = 0): number => Math.floor(Date.now() / 1000) + fromNow;
const send = (claims: object) => postLogoutToken(party.postern, party.op.logoutToken(claims));

test('a logout token with a sid ends that session and no other of the user (BCL-09)', async () => {
  const [one, other, bob] = [
    await login('alice', { sid: 'a1' }),
    await login('alice', { sid: 'a2' }),
    await login('bob', { sid: 'b1' }),
  ];
  expect((await send({ sub: 'alice', sid: 'a1' })).status).toBe(200);
  expect([await isIn(one), await isIn(other), await isIn(bob)]).toEqual([false, true, true]);
});

test('a logout token with a sub alone ends every session of that user and nobody else’s (BCL-09)', async () => {
  const [one, other, bob] = [await login('alice', { sid: 'a1' }), await login('alice'), await login('bob')];
  expect((await send({ sub: 'alice' })).status).toBe(200);
  expect([await isIn(one), await isIn(other), await isIn(bob)]).toEqual([false, false, true]);
  expect(await redis.command('KEYS', 'postern:sid:*')).toEqual([]);
});

test('an audit event tells who asked and how many sessions it ended, or why it was refused (LOGS-02)', async () => {
  const { log } = party.postern;
  const told = (event: string): Record<string, unknown>[] =>
    log.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line['event'] === event);
  const asked = { requestId: expect.any(String), client: '127.0.0.1', issuer: party.op.issuer };
  await login('alice', { sid: 'a1' });
  await login('alice', { sid: 'a2' });
  log.length = 0;
  expect((await send({ sub: 'alice' })).status).toBe(200);
  expect(told('backchannel_logout')).toMatchObject([{ ...asked, level: 'info', sessions: 2 }]);
  expect(told('session_ended').map(({ reason }) => reason)).toEqual(['back-channel', 'back-channel']);
  expect((await postLogoutToken(party.postern, 'not.a.token')).status).toBe(400);
  expect(told('backchannel_logout_failed')).toMatchObject([{ ...asked, level: 'warn', reason: expect.any(String) }]);
});

test('a logout that one replica hears of holds on the others at once (SES-08)', async () => {
  const keys = [newSessionKey()];
  const shared = { session: { keys }, redis: { url: redis.url } };
  await using first = await startRelyingParty({ config: () => shared });
  const routes = [{ path: '/api', upstream: first.api.url }];
  const second = await startPostern(first.op, { ...shared, routes, publicUrl: first.postern.publicUrl });
  try {
    first.op.does.idToken = { sid: 'a1' };
    const browser = await first.signedInBrowser();
    const elsewhere = copyOf(browser, second);
    // Both have the session at hand now.
    expect([(await browser.fetch('/api/x')).status, (await elsewhere.fetch('/api/x')).status]).toEqual([200, 200]);
    expect((await postLogoutToken(second, first.op.logoutToken({ sid: 'a1' }))).status).toBe(200);
    expect((await elsewhere.fetch('/api/x')).status).toBe(401);
    await until(async () => (await browser.fetch('/api/x')).status === 401);
  } finally {
    await second.stop();
  }
});

test('a logout token for a user leaves the session of a login that came after it', async () => {
  const before = await login('alice', { iat: seconds(-60) });
  const after = await login('alice', { iat: seconds() });
  expect((await send({ sub: 'alice', iat: seconds(-30) })).status).toBe(200);
  expect([await isIn(before), await isIn(after)]).toEqual([false, true]);
  expect(await isIn(await login('alice'))).toBe(true);
});

test('a sid that belongs to another sub is refused and its session lives (BCL-10)', async () => {
  const alice = await login('alice', { sid: 'a1' });
  expect((await send({ sub: 'bob', sid: 'a1' })).status).toBe(400);
  expect(await isIn(alice)).toBe(true);
});

test('a session that is unknown or over is a success as well (BCL-11)', async () => {
  const alice = await login('alice', { sid: 'a1' });
  await alice.fetch('/bff/logout', { method: 'POST' });
  expect((await send({ sub: 'alice', sid: 'a1' })).status).toBe(200);
  expect(await send({ sid: 'nobody’s' })).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
  expect((await send({ sub: 'nobody' })).status).toBe(200);
});

test('a logout token is used once: sent again it is refused and ends nothing (BCL-07, CS-09)', async () => {
  const first = await login('alice', { sid: 'a1' });
  const logoutToken = party.op.logoutToken({ sid: 'a1' });
  expect((await postLogoutToken(party.postern, logoutToken)).status).toBe(200);
  const later = await login('alice', { sid: 'a1', iat: seconds(5) });
  expect((await postLogoutToken(party.postern, logoutToken)).status).toBe(400);
  expect([await isIn(first), await isIn(later)]).toEqual([false, true]);
});

test('while the store is away a logout is answered with 400, and the same token works when it is back (BCL-12, CS-09)', async () => {
  const alice = await login('alice', { sid: 'a1' });
  const logoutToken = party.op.logoutToken({ sid: 'a1' });
  redis.freeze();
  try {
    const answer = await postLogoutToken(party.postern, logoutToken);
    expect(answer).toMatchObject({ status: 400, headers: { 'cache-control': 'no-store' } });
    expect(JSON.parse(answer.body)).toMatchObject({ error: 'temporarily_unavailable' });
  } finally {
    redis.thaw();
  }
  await until(async () => (await alice.fetch('/bff/session')).status === 200);
  expect(await isIn(alice)).toBe(true);
  expect((await postLogoutToken(party.postern, logoutToken)).status).toBe(200);
  expect(await isIn(alice)).toBe(false);
});

test('a logout token whose sessions could not all be ended is not used up (CS-09)', async () => {
  const alice = await login('alice', { sid: 'a1' });
  const logoutToken = party.op.logoutToken({ sid: 'a1' });
  // Guards and markers can be written, sessions cannot be looked up.
  await redis.command('ACL', 'SETUSER', 'default', 'resetkeys', '~postern:ended:*', '~postern:jti:*', '~postern:{*');
  try {
    expect((await postLogoutToken(party.postern, logoutToken)).status).toBe(400);
  } finally {
    await redis.command('ACL', 'SETUSER', 'default', 'allkeys');
  }
  expect(await isIn(alice)).toBe(true);
  expect((await postLogoutToken(party.postern, logoutToken)).status).toBe(200);
  expect(await isIn(alice)).toBe(false);
});

test.each<[claim: string, body: (token: string) => string, headers: Record<string, string>]>([
  ['no body', () => '', {}],
  ['a JSON body', (token) => JSON.stringify({ logout_token: token }), { 'content-type': 'application/json' }],
  ['a form that does not say so', (token) => `logout_token=${token}`, { 'content-type': 'text/plain' }],
  ['two logout tokens', (token) => `logout_token=${token}&logout_token=${token}`, {}],
  ['a body of 1 MB', (token) => `logout_token=${token}&x=${'x'.repeat(1024 * 1024)}`, {}],
])(
  '%s is answered with 400 and no-store, and ends nothing (BCL-12, BCL-13, BCL-15, CS-08)',
  async (_claim, body, headers) => {
    const alice = await login('alice', { sid: 'a1' });
    const logoutToken = party.op.logoutToken({ sid: 'a1' });
    const answer = await postLogoutToken(party.postern, '', { body: body(logoutToken), headers });
    expect(answer).toMatchObject({ status: 400, headers: { 'cache-control': 'no-store' } });
    expect(await isIn(alice)).toBe(true);
  },
);

test('parameters that nobody knows are ignored (BCL-01)', async () => {
  const alice = await login('alice', { sid: 'a1' });
  const body = `more=1&logout_token=${party.op.logoutToken({ sid: 'a1' })}`;
  expect((await postLogoutToken(party.postern, '', { body })).status).toBe(200);
  expect(await isIn(alice)).toBe(false);
});

test('only POST is taken, and that is said with no-store, too (BCL-01, BCL-13)', async () => {
  const answer = await party.openBrowser().fetch('/bff/backchannel-logout');
  expect(answer).toMatchObject({ status: 405, headers: { allow: 'POST', 'cache-control': 'no-store' } });
});

test('the endpoint needs no cookie and no mark of our own pages; every other POST still does (CS-07)', async () => {
  const foreign = { origin: 'https://elsewhere.example.test', 'sec-fetch-site': 'cross-site' };
  expect((await postLogoutToken(party.postern, party.op.logoutToken({ sid: 'x' }), { headers: foreign })).status).toBe(
    200,
  );
  const alice = await login('alice');
  const logout = await alice.fetch('/bff/logout', { method: 'POST', from: 'https://elsewhere.example.test' });
  expect(logout.status).toBe(403);
});

test('a thousand logout tokens with invented key ids make us ask for keys at most once a second (BCL-15, ST-16)', async () => {
  const forged = Array.from({ length: 1_000 }, (_, n) =>
    party.op.logoutToken({ sid: 'a1' }, { header: { kid: `invented-${n}` }, signature: 'unknown-key' }),
  );
  const startedAt = performance.now();
  const answers = await Promise.all(forged.map((token) => postLogoutToken(party.postern, token)));
  const tookSeconds = (performance.now() - startedAt) / 1000;
  expect(answers.every(({ status }) => status === 400)).toBe(true);
  expect(party.op.endpoints.seen('jwks').length).toBeLessThanOrEqual(1 + Math.ceil(tookSeconds));
});

test('keys out of reach: 400, and the provider may send it again', async () => {
  const alice = await login('alice', { sid: 'a1' });
  party.op.rotateKeys({ kid: randomUUID() });
  party.op.endpoints.behaviours.jwks.fail('unavailable');
  const logoutToken = party.op.logoutToken({ sid: 'a1' });
  expect((await postLogoutToken(party.postern, logoutToken)).status).toBe(400);
  expect(await isIn(alice)).toBe(true);
  party.op.endpoints.behaviours.jwks.recover();
  await until(async () => (await postLogoutToken(party.postern, logoutToken)).status === 200);
  expect(await isIn(alice)).toBe(false);
});

test.each([
  ['its sid', { sid: 'a1' }],
  ['its user', { sub: 'alice' }],
])(
  'a logout token for %s that arrives while the login is still being written ends it (BCL-16)',
  async (_claim, claims) => {
    // The tokens are there and the session is not: userinfo is what the login waits for.
    party.op.does.idToken = { sub: 'alice', sid: 'a1' };
    party.op.endpoints.behaviours.userinfo.hold();
    const browser = party.openBrowser();
    const login = party.logIn(browser);
    await until(() => party.op.endpoints.seen('userinfo').length === 1);
    expect((await send(claims)).status).toBe(200);
    party.op.endpoints.behaviours.userinfo.recover();
    expect((await login).headers['location']).toBe('/login-failed?error=login_failed');
    expect(party.sessionCookieOf(browser)).toBeUndefined();
    expect(await redis.command('KEYS', 'postern:{*')).toEqual([]);
    await until(() => party.op.endpoints.seen('revocation').length === 1);
  },
);
