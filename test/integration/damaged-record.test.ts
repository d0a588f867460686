// The session record, which says whose a session is, has been damaged in the store. Its tokens still open the API, so whoever ends sessions must end this one too.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createEndSession } from '../../src/login/end-session.ts';
import { createSessionIndex } from '../../src/session/session-index.ts';
import type { Browser } from '../support/browser.ts';
import { postLogoutToken } from '../support/logout-token.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { openMemoryStore, openRedisStore } from '../support/stores.ts';

const adminToken = randomBytes(32).toString('base64');

let redis: RedisServer;
let storeRedis: RedisServer;
let party: RelyingParty;
beforeAll(async () => {
  [redis, storeRedis] = await Promise.all([startRedis(), startRedis()]);
  const operations = { listen: '127.0.0.1:0', admin: { token: adminToken } };
  party = await startRelyingParty({ config: () => ({ redis: { url: redis.url }, operations }) });
});
beforeEach(() => redis.command('FLUSHALL'));
afterAll(async () => {
  await party[Symbol.asyncDispose]();
  await Promise.all([redis, storeRedis].map((server) => server[Symbol.asyncDispose]()));
});

async function login(sub: string, sid?: string): Promise<Browser> {
  party.op.does.idToken = { sub, ...(sid !== undefined && { sid }) };
  party.op.does.userinfo = { sub };
  return party.signedInBrowser();
}
const isIn = async (browser: Browser): Promise<boolean> => (await party.bearerOf(browser)) !== undefined;

/** Cuts every session record in two that is there. */
async function damageAll(): Promise<void> {
  for (const key of (await redis.command('KEYS', 'postern:{*}:session')) as string[]) {
    await redis.command('SET', key, '{"cookie":{"originalMa', 'KEEPTTL');
  }
}

const send = (claims: object) => postLogoutToken(party.postern, party.op.logoutToken(claims));
const ask = (method: string) =>
  fetch(`${party.postern.operationsUrl}/admin/sessions?sub=alice`, {
    method,
    headers: { authorization: `Bearer ${adminToken}` },
  }).then((response) => response.json());

test.each([
  ['its sid (BCL-09)', { sid: 'a1' }],
  ['its user (BCL-09)', { sub: 'alice' }],
  ['both (BCL-10)', { sub: 'alice', sid: 'a1' }],
])('a logout token for %s ends a session whose record is damaged, and nobody else’s', async (_claim, claims) => {
  const alice = await login('alice', 'a1');
  await damageAll();
  const bob = await login('bob', 'b1');
  expect(await isIn(alice)).toBe(true);
  expect((await send(claims)).status).toBe(200);
  expect([await isIn(alice), await isIn(bob)]).toEqual([false, true]);
  expect(await redis.command('KEYS', 'postern:{*')).toHaveLength(2);
});

test('an operator sees a session whose record is damaged and ends it (SES-09)', async () => {
  const alice = await login('alice');
  await damageAll();
  expect(await ask('GET')).toEqual({ sessions: [{ handle: expect.any(String) }] });
  expect(await ask('DELETE')).toEqual({ ended: 1 });
  expect(await isIn(alice)).toBe(false);
  expect(await ask('GET')).toEqual({ sessions: [] });
});

test('a user sees a session whose record is damaged among the own ones and ends it (SES-10)', async () => {
  const lost = await login('alice');
  await damageAll();
  const here = await login('alice');
  const { sessions } = (await here.fetch('/bff/sessions')).json();
  expect(sessions).toMatchObject([{ current: false }, { current: true, device: expect.any(String) }]);
  expect(Object.keys(sessions[0])).toEqual(['handle', 'current']);
  expect((await here.fetch('/bff/sessions', { method: 'DELETE' })).json()).toEqual({ ended: 1 });
  expect([await isIn(lost), await isIn(here)]).toEqual([false, true]);
});

test.each([
  ['in memory', () => Promise.resolve(openMemoryStore())],
  ['in Redis', () => openRedisStore(storeRedis)],
])('%s a session whose record is damaged is found and ended, and leaves nothing behind', async (_where, openStore) => {
  const { store, close } = await openStore();
  try {
    const index = createSessionIndex({ store, absoluteSeconds: 3_600 });
    const owner = { iss: 'https://id.example.test', sub: 'alice', sid: 'a1' };
    await store.writeSession('h1', 'no JSON', 600);
    await index.add('h1', owner);
    const tokens = { main: 'sealed', clientId: 'shop', issuer: owner.iss };
    await store.put('h1', { ...tokens, expiresInMs: 300_000, idleMs: 600_000, absoluteMs: 3_600_000 });

    const found = await index.bySid(owner.iss, 'a1');
    expect(found).toEqual([{ h: 'h1', record: 'unreadable' }]);
    const end = createEndSession({
      index,
      vault: { end: async (h, reason) => (await store.end(h, reason), 'ended') },
    });
    expect(await end(found[0]!.h, 'back-channel')).toBe('ended');
    expect([await store.load('h1'), await store.readSession('h1')]).toEqual([null, null]);
    expect([await index.bySid(owner.iss, 'a1'), await index.bySubject(owner.iss, 'alice')]).toEqual([[], []]);
  } finally {
    await close();
  }
});
