// Claims on their way from the provider to a route's decision and to the upstream: whole logins, real refreshes.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { logIn, openBrowser } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { ageTokens } from '../support/token-age.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let provider: MisbehavingProvider;
let upstream: RecordingUpstream;
let redis: RedisServer;
let postern: LocalPostern;

beforeAll(async () => {
  [provider, upstream, redis] = await Promise.all([
    startMisbehavingProvider(),
    RecordingUpstream.start(),
    startRedis(),
  ]);
  postern = await startPostern(provider, {
    redis: { url: redis.url },
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
  await redis[Symbol.asyncDispose]();
});

const withRoles = (...roles: string[]) => ({ realm_access: { roles } });

async function signedIn(): Promise<Browser> {
  const browser = openBrowser(postern);
  await logIn(browser, { issuer: provider.issuer, visit: (url) => provider.authorize(url) });
  return browser;
}

const refreshes = (): number => provider.endpoints.seen('token', 'refresh_token').length;

/** The browser's access token expires, and calls have another one. */
async function refreshed(browser: Browser): Promise<void> {
  const before = refreshes();
  const cookie = browser.jar.headerFor(new URL(postern.publicUrl), { isSameSite: true, isTopLevelRead: true });
  await ageTokens({ cookie }, redis, 400_000);
  await until(async () => (await browser.fetch('/api/orders')).status === 200 && refreshes() > before);
}

test('a role that is taken away shuts the route from the next refresh on', async () => {
  provider.does.idToken = withRoles('admin', 'user');
  const browser = await signedIn();
  expect((await browser.fetch('/api/admin/users')).status).toBe(200);

  provider.does.refreshedIdToken = withRoles('user');
  await refreshed(browser);
  expect((await browser.fetch('/api/admin/users')).json()).toMatchObject({ status: 403, code: 'forbidden' });
  await browser.fetch('/api/orders');
  expect(upstream.last.headers['x-roles']).toBe('user');
});

test('a role that is given opens the route from the next refresh on', async () => {
  provider.does.idToken = withRoles('user');
  const browser = await signedIn();
  expect((await browser.fetch('/api/admin/users')).status).toBe(403);

  provider.does.refreshedIdToken = withRoles('admin');
  await refreshed(browser);
  expect((await browser.fetch('/api/admin/users')).status).toBe(200);
});

test('a role that only userinfo named holds until the next login', async () => {
  provider.does.userinfo = withRoles('admin');
  const browser = await signedIn();
  provider.does.userinfo = withRoles('user');
  await refreshed(browser);
  expect((await browser.fetch('/api/admin/users')).status).toBe(200);
});

test('where a refresh brings no ID token, every role holds until the next login', async () => {
  provider.does.idToken = withRoles('admin');
  provider.does.refreshedIdToken = null;
  const browser = await signedIn();
  await refreshed(browser);
  expect((await browser.fetch('/api/admin/users')).status).toBe(200);
});
