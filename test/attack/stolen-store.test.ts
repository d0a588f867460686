// Somebody can write to Redis, and has no key: what is sealed for one session opens in no other, and not a second time (RFC 9700 4.9.3, NIST SP 800-38D).
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { hashOf } from '../../src/session/cookie.ts';
import type { Browser } from '../support/browser.ts';
import { newSessionKey } from '../support/postern.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';

let redis: RedisServer;
let party: RelyingParty;
let alice: Browser;
let bob: Browser;
beforeAll(async () => {
  redis = await startRedis();
  party = await startRelyingParty({
    config: () => ({
      redis: { url: redis.url },
      session: { keys: [newSessionKey()], nearCache: { enabled: false } },
    }),
  });
});
beforeEach(async () => {
  [alice, bob] = [await login('alice'), await login('bob')];
});
afterAll(async () => {
  await party[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
});

async function login(sub: string): Promise<Browser> {
  party.op.does.idToken = { sub };
  party.op.does.userinfo = { sub };
  return party.signedInBrowser();
}
function recordOf(browser: Browser): string {
  const id = decodeURIComponent(party.sessionCookieOf(browser)!).slice('s:'.length).split('.')[0]!;
  return `postern:{${hashOf(id)}}:tokens`;
}
const fieldOf = async (browser: Browser, field: string): Promise<string> =>
  String(await redis.command('HGET', recordOf(browser), field));
const unreadable = async (): Promise<number> =>
  Number((await party.postern.metric('postern_sessions_unreadable_total'))[0]?.split(' ')[1] ?? 0);

/** Both get 401, nothing is deleted, operators are told, and the API hears nothing. */
async function expectNobodyIsIn(...browsers: Browser[]): Promise<void> {
  const [calls, counted] = [party.api.requests.length, await unreadable()];
  for (const browser of browsers) {
    const answer = await browser.fetch('/api/x');
    expect([answer.status, answer.json().code, answer.setCookies]).toEqual([401, 'session_expired', []]);
    expect((await browser.fetch('/bff/session')).json()).toMatchObject({ authenticated: false });
    expect(await redis.command('EXISTS', recordOf(browser))).toBe(1);
  }
  expect(party.api.requests).toHaveLength(calls);
  expect(await unreadable()).toBeGreaterThan(counted);
}

test('the sealed tokens of two users, each in the other’s record, open for neither; put back, both go on (SES-14, TK-14)', async () => {
  const [ofAlice, ofBob] = [await fieldOf(alice, 'main'), await fieldOf(bob, 'main')];
  await redis.command('HSET', recordOf(alice), 'main', ofBob);
  await redis.command('HSET', recordOf(bob), 'main', ofAlice);
  await expectNobodyIsIn(alice, bob);
  await redis.command('HSET', recordOf(alice), 'main', ofAlice);
  await redis.command('HSET', recordOf(bob), 'main', ofBob);
  expect([await party.bearerOf(alice), await party.bearerOf(bob)]).toEqual([
    expect.stringMatching(/^Bearer /),
    expect.stringMatching(/^Bearer /),
  ]);
});

test('the whole record of another user in the place of one’s own opens nothing (SES-14, TK-14, ST-01)', async () => {
  await redis.command('DEL', recordOf(alice));
  await redis.command('COPY', recordOf(bob), recordOf(alice));
  await expectNobodyIsIn(alice);
  expect(await party.bearerOf(bob)).toMatch(/^Bearer /);
});

test.each([
  ['one bit of the sealed value', (value: string) => flipped(value, value.length - 2)],
  ['one bit of its beginning', (value: string) => flipped(value, value.lastIndexOf('.') + 1)],
  ['its end cut off', (value: string) => value.slice(0, -4)],
  ['nothing at all', () => ''],
])('with %s changed it opens no more (SES-14)', async (_what, change) => {
  await redis.command('HSET', recordOf(alice), 'main', change(await fieldOf(alice, 'main')));
  await expectNobodyIsIn(alice);
});

test('a sealed value under the number of another revision, as after a refresh undone by hand, opens nothing (SES-14)', async () => {
  await redis.command('HINCRBY', recordOf(alice), 'revision', 1);
  await expectNobodyIsIn(alice);
});

function flipped(text: string, at: number): string {
  return text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
}
