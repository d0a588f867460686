// A session that is ended without its cookie: its refresh token is sealed, and only a replica that has the session open at that moment can revoke it.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Browser } from '../support/browser.ts';
import { copyOf, logIn } from '../support/browser-login.ts';
import { freePort } from '../support/free-port.ts';
import { postLogoutToken } from '../support/logout-token.ts';
import { newSessionKey, startPostern } from '../support/postern.ts';
import type { ConfigInput, LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

const adminToken = randomBytes(32).toString('base64');

let redis: RedisServer;
let provider: RealProvider;
let api: RecordingUpstream;
let shared: ConfigInput;
/** Two replicas. The provider sends its logout tokens to the first. */
let first: LocalPostern;
let second: LocalPostern;

beforeAll(async () => {
  const port = await freePort();
  const publicUrl = `http://localhost:${port}`;
  [redis, api, provider] = await Promise.all([
    startRedis(),
    RecordingUpstream.start(),
    startRealProvider({ backchannelLogoutUri: `${publicUrl}/bff/backchannel-logout` }),
  ]);
  shared = {
    publicUrl,
    redis: { url: redis.url },
    session: { keys: [newSessionKey()] },
    routes: [{ path: '/api', upstream: api.url }],
    operations: { listen: '127.0.0.1:0', admin: { token: adminToken } },
  };
  first = await startPostern(provider, { ...shared, listen: `127.0.0.1:${port}` });
  second = await startPostern(provider, { ...shared, listen: '127.0.0.1:0' });
  const browser = await login();
  for (const replica of [first, second]) await until(() => keepsOpen(replica, browser));
});
afterAll(async () => {
  await Promise.all([first.stop(), second.stop()]);
  await Promise.all([provider.close(), api.stop(), redis[Symbol.asyncDispose]()]);
});
beforeEach(async () => {
  await redis.command('FLUSHALL');
  provider.endpoints.requests.length = 0;
});

const revocations = () => provider.endpoints.seen('revocation');

/** Somebody at the provider, with the cookies of that. */
async function login(cookies = new Map<string, string>(), browser = new Browser(first)): Promise<Browser> {
  await logIn(browser, { issuer: provider.issuer, visit: (url) => provider.visit(url, { cookies }) });
  return browser;
}

/** A call on one of the replicas, which has the session open from then on. */
async function use(browser: Browser, ...replicas: LocalPostern[]): Promise<number[]> {
  const statuses = replicas.map(async (replica) => (await copyOf(browser, replica).fetch('/api/x')).status);
  return Promise.all(statuses);
}

/** Messages are proven to arrive within a second or two of the start; until then nothing is kept. */
async function keepsOpen(replica: LocalPostern, browser: Browser): Promise<boolean> {
  const scriptsRun = async () =>
    /cmdstat_evalsha:calls=\d+/.exec(String(await redis.command('INFO', 'commandstats')))?.[0];
  await use(browser, replica);
  const before = await scriptsRun();
  await use(browser, replica);
  return (await scriptsRun()) === before;
}

/** The person logs out on the provider's own page, and the provider posts its logout token. */
const leaveProvider = (cookies: Map<string, string>): Promise<URL> =>
  provider.visit(
    `${provider.issuer}/session/end?${new URLSearchParams({
      client_id: provider.clientId,
      post_logout_redirect_uri: `${first.publicUrl}/bff/logout/callback`,
    })}`,
    { cookies },
  );

async function endAsOperator(at: LocalPostern, sub = 'alice'): Promise<void> {
  const headers = { authorization: `Bearer ${adminToken}` };
  await fetch(`${at.operationsUrl}/admin/sessions?sub=${sub}`, { method: 'DELETE', headers });
}

async function isAlive(refreshToken: string): Promise<boolean> {
  const basic = Buffer.from(`${provider.clientId}:${provider.clientSecret}`).toString('base64');
  const response = await fetch(`${provider.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${basic}` },
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken }),
  });
  return response.ok;
}

/** Everything that the provider was told because of an end has been told when a later end has been. */
async function afterwards(): Promise<void> {
  const seen = revocations().length;
  const other = await login();
  await use(other, second);
  await other.fetch('/bff/logout', { method: 'POST' });
  await until(() => revocations().length > seen);
}

test('a logout at the provider revokes the refresh token, by whichever replica has the session open (BCL-14)', async () => {
  const cookies = new Map<string, string>();
  const browser = await login(cookies);
  expect(await use(browser, second)).toEqual([200]);
  await leaveProvider(cookies);
  await until(() => revocations().length === 1);
  const [revocation] = revocations();
  expect(revocation!.parameters.get('token_type_hint')).toBe('refresh_token');
  await until(async () => !(await isAlive(revocation!.parameters.get('token')!)));
  expect(await use(browser, first, second)).toEqual([401, 401]);
});

test('several replicas that have it open revoke it once (BCL-14)', async () => {
  const cookies = new Map<string, string>();
  const browser = await login(cookies);
  expect(await use(browser, first, second)).toEqual([200, 200]);
  await leaveProvider(cookies);
  await until(() => revocations().length === 1);
  await afterwards();
  expect(new Set(revocations().map(({ parameters }) => parameters.get('token'))).size).toBe(2);
  expect(revocations()).toHaveLength(2);
});

test('a session that an operator ends is revoked by the replica that has it open', async () => {
  const browser = await login();
  await use(browser, second);
  await endAsOperator(first);
  await until(() => revocations().length === 1);
  expect(await use(browser, first, second)).toEqual([401, 401]);
});

test('a session that its user ends on another device, or that goes beyond the limit, is revoked by the replica that has it open', async () => {
  const [lost, here] = [await login(), await login()];
  await use(lost, second);
  expect((await here.fetch('/bff/sessions', { method: 'DELETE' })).json()).toEqual({ ended: 1 });
  await until(() => revocations().length === 1);

  const session = { ...(shared['session'] as object), maxPerUser: 1 };
  const strict = await startPostern(provider, { ...shared, session, listen: '127.0.0.1:0' });
  try {
    await use(here, second);
    await login(new Map(), new Browser(strict));
    await until(() => revocations().length === 2);
    expect(await use(here, first)).toEqual([401]);
  } finally {
    await strict.stop();
  }
});

test('a session that no replica has open ends all the same, and its refresh token lives on', async () => {
  const browser = await login();
  await endAsOperator(first);
  expect(await use(browser, first)).toEqual([401]);
  await afterwards();
  expect(revocations()).toHaveLength(1);
});

test('a login that replaces a session revokes nothing: the two may live on one grant at the provider', async () => {
  const cookies = new Map<string, string>();
  const browser = await login(cookies);
  await use(browser, first, second);
  await login(cookies, browser);
  await afterwards();
  expect(revocations()).toHaveLength(1);
});

test('where the configuration says never, nothing is revoked', async () => {
  await using discreet = await startRelyingParty({ config: () => ({ logout: { revoke: 'never' } }) });
  await using other = await startRelyingParty();
  for (const party of [discreet, other]) {
    party.op.does.idToken = { sid: 'a1' };
    expect(await party.bearerOf(await party.signedInBrowser())).toBeDefined();
    expect((await postLogoutToken(party.postern, party.op.logoutToken({ sid: 'a1' }))).status).toBe(200);
  }
  await until(() => other.op.endpoints.seen('revocation').length === 1);
  expect(discreet.op.endpoints.seen('revocation')).toEqual([]);
});

test('nor is what a login or a refresh brings to a session that has ended meanwhile: it may stand for the grant of others', async () => {
  await using discreet = await startRelyingParty({ config: () => ({ logout: { revoke: 'never' } }) });
  const { op, postern } = discreet;
  const { token, userinfo } = op.endpoints.behaviours;
  op.does.idToken = { sid: 'a1' };
  op.does.tokenResponse = { expires_in: 1 };
  userinfo.hold();
  const login = discreet.logIn(discreet.openBrowser());
  await until(() => op.endpoints.seen('userinfo').length === 1);
  await postLogoutToken(postern, op.logoutToken({ sid: 'a1' }));
  userinfo.recover();
  expect((await login).headers['location']).toBe('/login-failed?error=login_failed');
  expect(await postern.metric('postern_logins_total{outcome="signed-in"}')).not.toContain(
    'postern_logins_total{outcome="signed-in"} 1',
  );

  op.does.idToken = { sid: 'a2' };
  const browser = await discreet.signedInBrowser();
  const release = token.hold();
  await until(async () => {
    void browser.fetch('/api/x');
    await new Promise(setImmediate);
    return op.endpoints.seen('token', 'refresh_token').length === 1;
  });
  await postLogoutToken(postern, op.logoutToken({ sid: 'a2' }));
  release();
  const signedOut = 'postern_token_refresh_total{outcome="signed-out"}';
  await until(async () => (await postern.metric(signedOut)).includes(`${signedOut} 1`));
  expect(op.endpoints.seen('revocation')).toEqual([]);
});

test('offline access outlives the provider’s session: its logout token revokes nothing then, an operator does (BCL-14)', async () => {
  const operations = { listen: '127.0.0.1:0', admin: { token: adminToken } };
  await using party = await startRelyingParty({ config: () => ({ operations }) });
  const { op, postern } = party;
  op.does.tokenResponse = { scope: 'openid offline_access' };
  op.does.idToken = { sub: 'alice', sid: 'a1' };
  op.does.userinfo = { sub: 'alice' };
  expect(await party.bearerOf(await party.signedInBrowser())).toBeDefined();
  expect((await postLogoutToken(postern, op.logoutToken({ sid: 'a1' }))).status).toBe(200);
  const before = [...op.issued];
  op.does.idToken = { sub: 'alice', sid: 'a2' };
  expect(await party.bearerOf(await party.signedInBrowser())).toBeDefined();
  await endAsOperator(postern);
  await until(() => op.endpoints.seen('revocation').length > 0);
  const revoked = op.endpoints.seen('revocation').map(({ parameters }) => parameters.get('token'));
  expect(revoked.filter((token) => before.includes(token!))).toEqual([]);
});
