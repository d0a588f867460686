// Whoever ends a session, on whichever replica: what is open under it is closed on all of them, and what is open under other sessions is not.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser } from '../support/browser.ts';
import { openEvents } from '../support/event-stream.ts';
import { postLogoutToken } from '../support/logout-token.ts';
import { newSessionKey, startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { openSocket } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { hasListeners } from '../support/stores.ts';
import { until } from '../support/until.ts';

const adminToken = randomBytes(32).toString('base64');

let redis: RedisServer;
let upstream: SocketUpstream;
let party: RelyingParty;
let other: LocalPostern;
beforeAll(async () => {
  [redis, upstream] = await Promise.all([startRedis(), SocketUpstream.start()]);
  const shared = {
    redis: { url: redis.url },
    session: { keys: [newSessionKey()] },
    operations: { listen: '127.0.0.1:0', admin: { token: adminToken } },
    logout: { frontChannel: true },
    routes: [{ path: '/ws', upstream: upstream.url, websocket: true }],
  };
  party = await startRelyingParty({ config: () => shared });
  other = await startPostern(party.op, { ...shared, publicUrl: party.postern.publicUrl, listen: '127.0.0.1:0' });
  await until(() => hasListeners(redis, 2));
});
afterAll(async () => {
  await other.stop();
  await party[Symbol.asyncDispose]();
  await upstream.stop();
  await redis[Symbol.asyncDispose]();
});

async function login(sub: string, sid: string): Promise<Browser> {
  party.op.does.idToken = { sub, sid };
  party.op.does.userinfo = { sub };
  return party.signedInBrowser();
}
const cookieOf = (browser: Browser): string =>
  browser.jar.headerFor(new URL(party.postern.publicUrl), { isSameSite: true, isTopLevelRead: true });

/** A WebSocket and a stream of events on each replica. */
async function openAll(browser: Browser) {
  const cookie = cookieOf(browser);
  const places = [party.postern, other];
  const sockets = await Promise.all(places.map((on) => openSocket(on, '/ws', { Cookie: cookie })));
  const events = await Promise.all(places.map((on) => openEvents({ cookie }, on)));
  return { sockets, events };
}

type End = (leaving: { sub: string; sid: string }) => Promise<unknown>;
const logoutToken = (claims: object): string => party.op.logoutToken(claims);

test.each<[how: string, reason: string, end: End]>([
  ['the provider, by its sid', 'back-channel', ({ sid }) => postLogoutToken(other, logoutToken({ sid }))],
  ['the provider, by its user', 'back-channel', ({ sub }) => postLogoutToken(other, logoutToken({ sub }))],
  [
    'the provider, through a frame',
    'front-channel',
    ({ sid }) => {
      const query = new URLSearchParams({ iss: party.op.issuer, sid });
      return party.openBrowser().embed(`/bff/frontchannel-logout?${query}`, 'iframe', 'https://op.example.test');
    },
  ],
  [
    'an operator',
    'admin',
    ({ sub }) =>
      fetch(`${other.operationsUrl}/admin/sessions?sub=${sub}`, {
        method: 'DELETE',
        headers: { authorization: `Bearer ${adminToken}` },
      }),
  ],
])(
  'a session that is ended by %s closes its sockets and streams on every replica within a second (CS-13, WS-02)',
  async (how, reason, end) => {
    const leaving = { sub: `leaving ${how}`.replaceAll(/\W/g, '-'), sid: `sid-${how}` };
    const open = await openAll(await login(leaving.sub, leaving.sid));
    const staying = await openAll(await login('staying', `staying-${how}`));
    const watch = startStopwatch();
    await end(leaving);
    for (const socket of open.sockets) {
      const { at, ...ending } = await socket.ended();
      expect(ending).toEqual({ code: 4401, reason });
      expect(watch.elapsedMs(at)).toBeLessThan(1_000);
    }
    for (const stream of open.events) {
      await stream.ended();
      expect(stream.events.filter(({ name }) => name === 'ended').map(({ data }) => data)).toEqual([{ reason }]);
      expect(watch.elapsedMs(stream.endedAt)).toBeLessThan(1_000);
    }
    watch.stop();
    for (const socket of staying.sockets) {
      socket.send('here');
      expect(await socket.heard(1)).toEqual(['echo here']);
      socket.close();
    }
    for (const stream of staying.events) {
      expect(stream.endedAt).toBeUndefined();
      stream.abort();
    }
  },
);
