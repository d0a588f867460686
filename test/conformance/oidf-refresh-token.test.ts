// Reproduces the checks of the OpenID Foundation's refresh token plan (oidcc-client-refreshtoken-test-plan) through the whole app: the session ends or goes on
// as the API and the browser see it.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from '../support/browser.ts';
import { whoAmI } from '../support/browser-login.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { ageTokens } from '../support/token-age.ts';
import { until } from '../support/until.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis[Symbol.asyncDispose]());

const refreshes = (party: RelyingParty): number => party.op.endpoints.seen('token', 'refresh_token').length;

interface Scenario {
  party: RelyingParty;
  browser: Browser;
  /** What the API got before the refresh. */
  bearer: string | undefined;
}

/** A session at a provider of its own. */
function scenario(name: string, play: (scenario: Scenario) => Promise<void>): void {
  test(name, async () => {
    await using party = await startRelyingParty({ config: () => ({ redis: { url: redis.url } }) });
    const browser = await party.signedInBrowser();
    await play({ party, browser, bearer: await party.bearerOf(browser) });
  });
}

/** The access token expires, and the API is called until a call has made the provider refresh; gives what that call carried. */
async function callUntilRefreshed({ party, browser }: Scenario): Promise<string | undefined> {
  const { publicUrl } = party.postern;
  const cookie = browser.jar.headerFor(new URL(publicUrl), { isSameSite: true, isTopLevelRead: true });
  await ageTokens({ cookie }, redis, 400_000);
  let bearer: string | undefined;
  await until(async () => {
    bearer = await party.bearerOf(browser);
    return refreshes(party) === 1;
  });
  return bearer;
}

async function expectEnded({ party, browser }: Scenario): Promise<void> {
  const calls = party.api.requests.length;
  const answer = await browser.fetch('/api/x');
  expect([answer.status, answer.json().code]).toEqual([401, 'session_expired']);
  expect(await whoAmI(browser)).toMatchObject({ authenticated: false });
  expect([party.api.requests.length, refreshes(party)]).toEqual([calls, 1]);
}

async function expectAlive({ party, browser }: Scenario): Promise<void> {
  expect(await whoAmI(browser)).toMatchObject({ authenticated: true, user: { sub: 'alice' } });
  expect(await party.bearerOf(browser)).toMatch(/^Bearer /);
}

scenario(
  'oidcc-client-test-refresh-token: the call that finds its token expired goes on with a new one, and the app notices nothing (BFF-08, OA-17)',
  async (one) => {
    const { bearer } = one;
    const after = await callUntilRefreshed(one);
    expect([bearer, after]).toEqual([expect.stringMatching(/^Bearer /), expect.stringMatching(/^Bearer /)]);
    expect(after).not.toBe(bearer);
    await expectAlive(one);
  },
);

for (const [module, idToken] of [
  ['oidcc-client-test-refresh-token-invalid-issuer', { iss: 'https://other.example.test' }],
  ['oidcc-client-test-refresh-token-invalid-sub', { sub: 'mallory' }],
] as const) {
  scenario(`${module}: the session ends, and the API never sees the new token (ID-18)`, async (one) => {
    one.party.op.does.refreshedIdToken = idToken;
    expect(await callUntilRefreshed(one)).toBeUndefined();
    expect(new Set(one.party.api.requests.map(({ headers }) => headers.authorization))).toEqual(new Set([one.bearer]));
    await expectEnded(one);
  });
}

scenario(
  'a refreshed ID token whose signature is wrong ends the session, though its tokens came straight from the provider (ID-18)',
  async (one) => {
    one.party.op.does.signature = 'broken';
    await callUntilRefreshed(one);
    await until(async () => !(await whoAmI(one.browser)).authenticated);
    await expectEnded(one);
    expect(one.party.postern.log.join()).toContain('a refreshed ID token has a wrong signature');
  },
);

scenario(
  'keys that are out of reach just then end nothing: the tokens are used, the identity stays what it was (ID-18)',
  async (one) => {
    const { op } = one.party;
    op.rotateKeys();
    op.endpoints.behaviours.jwks.fail('unavailable');
    op.does.refreshedIdToken = { email: 'new@example.test' };
    op.does.refreshResponse = { expires_in: 300 };
    const asked = op.endpoints.seen('jwks').length;
    // Keys are asked for once a second at most, and the login has just done so.
    const askedAt = op.endpoints.seen('jwks').at(-1)!.at;
    await until(() => Date.now() > askedAt + 2_000);
    expect(await callUntilRefreshed(one)).not.toBe(one.bearer);
    await until(() => op.endpoints.seen('jwks').length > asked);
    await expectAlive(one);
    expect(await whoAmI(one.browser)).toMatchObject({ user: { email: 'alice@example.test' } });
  },
);
