// Claims on their way from the provider to a route's decision and to the upstream: whole logins, real refreshes.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { logIn, openBrowser } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let provider: MisbehavingProvider;
let upstream: RecordingUpstream;
let postern: LocalPostern;

beforeAll(async () => {
  [provider, upstream] = await Promise.all([startMisbehavingProvider(), RecordingUpstream.start()]);
  postern = await startPostern(provider, {
    routes: [
      { path: '/api', upstream: upstream.url, headers: { claims: { 'X-Roles': 'realm_access.roles' } } },
      { path: '/api/admin', upstream: upstream.url, require: { 'realm_access.roles': ['admin'] } },
    ],
  });
});

beforeEach(() => {
  delete provider.does.idToken;
  delete provider.does.refreshedIdToken;
  delete provider.does.userinfo;
});

afterAll(async () => {
  await postern.stop();
  await upstream.stop();
  await provider.close();
});

const withRoles = (...roles: string[]) => ({ realm_access: { roles } });

/** Logged in with a token that lives for a second. */
async function signedInBriefly(): Promise<Browser> {
  provider.does.tokenResponse = { expires_in: 1 };
  const browser = openBrowser(postern);
  await logIn(browser, { issuer: provider.issuer, visit: (url) => provider.authorize(url) });
  return browser;
}

const refreshes = (): number => provider.endpoints.seen('token', 'refresh_token').length;

async function untilRefreshed(browser: Browser): Promise<void> {
  const before = refreshes();
  await until(async () => (await browser.fetch('/api/orders')).status === 200 && refreshes() > before);
}

test('a role that is taken away shuts the route from the next refresh on', async () => {
  provider.does.idToken = withRoles('admin', 'user');
  const browser = await signedInBriefly();
  expect((await browser.fetch('/api/admin/users')).status).toBe(200);

  provider.does.refreshedIdToken = withRoles('user');
  await untilRefreshed(browser);
  expect((await browser.fetch('/api/admin/users')).json()).toMatchObject({ status: 403, code: 'forbidden' });
  await browser.fetch('/api/orders');
  expect(upstream.last.headers['x-roles']).toBe('user');
});

test('a role that is given opens it', async () => {
  provider.does.idToken = withRoles('user');
  const browser = await signedInBriefly();
  expect((await browser.fetch('/api/admin/users')).status).toBe(403);

  provider.does.refreshedIdToken = withRoles('admin');
  await untilRefreshed(browser);
  expect((await browser.fetch('/api/admin/users')).status).toBe(200);
});

test('what only userinfo said holds until the next login', async () => {
  provider.does.userinfo = withRoles('admin');
  const browser = await signedInBriefly();
  provider.does.userinfo = withRoles('user');
  await untilRefreshed(browser);
  expect((await browser.fetch('/api/admin/users')).status).toBe(200);
});

test('so does everything where a refresh brings no ID token', async () => {
  provider.does.idToken = withRoles('admin');
  provider.does.refreshedIdToken = null;
  const browser = await signedInBriefly();
  await untilRefreshed(browser);
  expect((await browser.fetch('/api/admin/users')).status).toBe(200);
});
