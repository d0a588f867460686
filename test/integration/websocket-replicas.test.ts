// WebSockets on two replicas with one store: whatever ends a session ends its sockets everywhere, and what does not, does not.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { logIn } from '../support/browser-login.ts';
import { Browser } from '../support/browser.ts';
import { newSessionKey, startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import { openSocket, refusedHandshake } from '../support/socket-client.ts';
import type { Client } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { hasListeners } from '../support/stores.ts';
import { expireToken } from '../support/token-age.ts';
import { until } from '../support/until.ts';

let provider: RealProvider;
let redis: RedisServer;
let upstream: SocketUpstream;
let routes: Record<string, unknown>[];
let near: LocalPostern;
let far: LocalPostern;

beforeAll(async () => {
  [provider, redis, upstream] = await Promise.all([startRealProvider(), startRedis(), SocketUpstream.start()]);
  routes = [
    { path: '/ws', upstream: upstream.url, websocket: true },
    { path: '/quiet', upstream: upstream.url, websocket: true, activity: false },
  ];
  const shared = {
    session: { keys: [newSessionKey()], idleTimeout: '1m', absoluteTimeout: '10m' },
    routes,
    redis: { url: redis.url },
  };
  near = await startPostern(provider, shared);
  far = await startPostern(provider, { ...shared, publicUrl: near.publicUrl, listen: '127.0.0.1:0' });
  await until(() => hasListeners(redis, 2));
});
beforeEach(() => upstream.reset());
afterAll(async () => {
  await Promise.all([near.stop(), far.stop()]);
  await upstream.stop();
  await provider.close();
  await redis[Symbol.asyncDispose]();
});

const everywhere = (cookie: string): Promise<Client[]> =>
  Promise.all([near, far].map((on) => openSocket(on, '/ws', { Cookie: cookie })));

const cookieOf = (browser: Browser): string =>
  browser.jar.headerFor(new URL(near.publicUrl), { isSameSite: true, isTopLevelRead: true });

test('a logout closes the sockets on every replica within a second, and the same cookie opens none (CS-13, WS-02)', async () => {
  const alice = await signIn(near, provider);
  const clients = await everywhere(alice.cookie);
  const watch = startStopwatch();
  expect((await alice.call('/bff/logout', { method: 'POST' })).status).toBe(200);
  for (const client of clients) {
    const { at, ...ending } = await client.ended();
    expect(ending).toEqual({ code: 4401, reason: 'logout' });
    expect(watch.elapsedMs(at)).toBeLessThan(1_000);
  }
  watch.stop();
  for (const on of [near, far]) {
    expect(await refusedHandshake(on, '/ws', { Cookie: alice.cookie })).toMatchObject({ code: 'session_expired' });
  }
  await until(() => upstream.connections === 0);
});

test('a token refresh closes none, and a handshake carries the newest token; a revocation at the provider closes all (CS-13)', async () => {
  const alice = await signIn(near, provider);
  const clients = await everywhere(alice.cookie);
  const first = upstream.last.request.headers.authorization;
  await expireToken(alice, redis, [near, far]);
  const [later] = await everywhere(alice.cookie);
  expect(upstream.last.request.headers.authorization).not.toBe(first);
  for (const client of [...clients, later!]) {
    client.send('there');
    expect(await client.heard(1)).toEqual(['echo there']);
  }
  provider.forgetGrants();
  await expireToken(alice, redis, [near, far]);
  expect((await alice.call('/ws')).status).toBe(401);
  for (const client of clients) expect(await client.ended()).toMatchObject({ code: 4401, reason: 'revoked' });
});

test('a new login in the same browser closes the sockets of its old session with a code to come back on', async () => {
  const browser = new Browser(near);
  await logIn(browser, provider);
  const clients = await everywhere(cookieOf(browser));
  await logIn(browser, provider, { query: '?prompt=login' });
  for (const client of clients) expect(await client.ended()).toMatchObject({ code: 1012, reason: 'replaced' });
  for (const client of await everywhere(cookieOf(browser))) client.close();
});

test('a session that nobody uses ends, and its sockets with it, on whichever replica they are (CS-13)', async () => {
  const alice = await signIn(near, provider);
  // As if the minute had nearly passed.
  for (const key of (await redis.command('KEYS', 'postern:{*:tokens')) as string[]) {
    await redis.command('PEXPIRE', key, 4_000);
  }
  const clients = await Promise.all([near, far].map((on) => openSocket(on, '/quiet', { Cookie: alice.cookie })));
  for (const client of clients) expect(await client.ended()).toMatchObject({ code: 4401, reason: 'idle' });
});

test('what a client sends keeps its session alive, save on a route that is no activity', async () => {
  const own = await startPostern(provider, {
    session: { keys: [newSessionKey()], idleTimeout: '5s', absoluteTimeout: '12s' },
    routes,
  });
  try {
    const [alice, bob] = [await signIn(own, provider), await signIn(own, provider, 'bob')];
    const hers = await openSocket(own, '/ws', { Cookie: alice.cookie });
    const his = await openSocket(own, '/quiet', { Cookie: bob.cookie });
    const talk = setInterval(() => [hers, his].forEach((client) => client.isGone || client.send('x')), 200);
    expect(await his.ended()).toMatchObject({ code: 4401, reason: 'idle' });
    expect(hers.isGone).toBe(false);
    // However busy, no longer than the session may live.
    expect(await hers.ended()).toMatchObject({ code: 4401, reason: 'absolute' });
    clearInterval(talk);
    expect(hers.ending!.at - his.ending!.at).toBeGreaterThan(3_000);
  } finally {
    await own.stop();
  }
});
