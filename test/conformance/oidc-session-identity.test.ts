// OpenID Connect Core 3.1.2.1 and 5.7, Session Management 3.1: a login that comes back with somebody else is a new session, and the old one is over.
import { describe, expect, test } from '@jest/globals';
import { whoAmI } from '../support/browser-login.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';

const somebodyElse = { idToken: { sub: 'bob' }, userinfo: { sub: 'bob', name: 'Bob', email: 'bob@example.test' } };

async function isDead(party: RelyingParty, cookie: string): Promise<boolean> {
  const thief = party.openBrowser();
  const { publicUrl } = party.postern;
  thief.jar.store(new URL(publicUrl), `postern-${new URL(publicUrl).port}=${cookie}; Path=/`);
  const { status, json } = await thief.fetch('/api/x').then((answer) => ({ ...answer, json: answer.json() }));
  return status === 401 && json.code === 'session_expired';
}

describe('another user at a silent login (prompt=none) ends the session that was there (ID-17)', () => {
  test.each(['?prompt=none', '?prompt=login', ''])('asked with %j', async (query) => {
    await using party = await startRelyingParty();
    const browser = await party.signedInBrowser();
    const [cookie, bearer] = [party.sessionCookieOf(browser)!, await party.bearerOf(browser)];
    Object.assign(party.op.does, somebodyElse);
    expect(await party.logIn(browser, query)).toMatchObject({ status: 303, headers: { location: '/' } });
    expect(await whoAmI(browser)).toMatchObject({ user: { sub: 'bob', name: 'Bob', email: 'bob@example.test' } });
    expect(await party.bearerOf(browser)).not.toBe(bearer);
    expect(await isDead(party, cookie)).toBe(true);
  });
});

test('a silent login that the provider refuses changes nothing and is not tried again (ID-16)', async () => {
  await using party = await startRelyingParty();
  const browser = await party.signedInBrowser();
  const cookie = party.sessionCookieOf(browser)!;
  for (const error of ['login_required', 'interaction_required', 'consent_required', 'account_selection_required']) {
    party.op.does.authorizationResponse = { code: undefined, error };
    const { status, headers } = await party.logIn(browser, '?prompt=none');
    expect([status, headers['location']]).toEqual([303, `/login-failed?error=${error}`]);
  }
  expect(party.sessionCookieOf(browser)).toBe(cookie);
  expect(await whoAmI(browser)).toMatchObject({ user: { sub: 'alice' } });
  expect(party.op.endpoints.seen('token')).toHaveLength(1);
});
