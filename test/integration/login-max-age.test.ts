// Re-authentication: how long ago somebody may have logged in at the provider (OIDC Core 3.1.2.1 and 3.1.3.7).
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { logIn, openBrowser, startLogin, whoAmI } from '../support/browser-login.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';

let provider: MisbehavingProvider;
let postern: LocalPostern;

beforeAll(async () => {
  provider = await startMisbehavingProvider();
  postern = await startPostern(provider, { login: { maxAge: '1m', parameters: ['max_age'] } });
});
afterAll(async () => {
  await postern.stop();
  await provider.close();
});
beforeEach(() => {
  delete provider.does.idToken;
});

const secondsAgo = (seconds: number): number => Math.floor(Date.now() / 1000) - seconds;

async function logInAfter(authTime: number | undefined, query = '') {
  provider.does.idToken = authTime === undefined ? {} : { auth_time: authTime };
  const browser = openBrowser(postern);
  const { status } = await logIn(
    browser,
    { issuer: provider.issuer, visit: (url) => provider.authorize(url) },
    { query },
  );
  return { status, authenticated: (await whoAmI(browser)).authenticated };
}

test.each([
  ['', '60'],
  ['?max_age=3600', '60'],
  ['?max_age=10', '10'],
  ['?max_age=0', '0'],
  ['?max_age=x', '60'],
])(
  'every login says how fresh it must be; an app may ask for less, never for more: %j (SES-12)',
  async (query, sent) => {
    expect((await startLogin(openBrowser(postern), query)).searchParams.getAll('max_age')).toEqual([sent]);
  },
);

test('somebody who has just logged in at the provider is let in (SES-12, ID-14)', async () => {
  expect(await logInAfter(secondsAgo(5))).toEqual({ status: 303, authenticated: true });
});

test('a provider that answers with a login of an hour ago lets nobody in (SES-12, ID-14)', async () => {
  expect(await logInAfter(secondsAgo(3_600))).toEqual({ status: 400, authenticated: false });
});

test('neither does one that does not say when it was (SES-12, ID-14)', async () => {
  expect(await logInAfter(undefined)).toEqual({ status: 400, authenticated: false });
});

test('a longer max_age in the address does not make a stale login pass (SES-12)', async () => {
  expect(await logInAfter(secondsAgo(1_800), '?max_age=3600')).toEqual({ status: 400, authenticated: false });
});
