// Lifetimes and limits that a reload changes: for whom they hold from then on, and who keeps what they have.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { newSessionKey } from '../support/postern.ts';
import type { ConfigInput, PosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { heardFrom, startReloadable, taken } from '../support/reloadable.ts';
import type { Reloadable } from '../support/reloadable.ts';
import { metricOf } from '../support/replicas.ts';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { openSocket } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { until } from '../support/until.ts';

let provider: RealProvider;
let sockets: SocketUpstream;
const running: PosternProcess[] = [];

beforeAll(async () => {
  [provider, sockets] = await Promise.all([startRealProvider(), SocketUpstream.start()]);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((postern) => postern.stop()));
});
afterAll(async () => {
  await Promise.all([provider.close(), sockets.stop()]);
});

async function start(overrides: ConfigInput): Promise<Reloadable> {
  const routes = [{ path: '/ws', upstream: sockets.url, websocket: true }];
  const reloadable = await startReloadable(provider, { routes, ...overrides });
  running.push(reloadable.postern);
  return reloadable;
}

test('other lifetimes hold for the sessions that begin from then on, and those that are there keep theirs', async () => {
  const keys = [newSessionKey()];
  const { postern, change } = await start({
    session: { keys, idleTimeout: '30m', absoluteTimeout: '12h' },
    cookie: { persistent: true },
  });
  const remainingOf = async (person: SignedIn): Promise<number[]> => {
    const { session } = JSON.parse((await person.call('/bff/session')).body) as { session: Record<string, number> };
    return [session['idleExpiresIn']!, session['expiresIn']!];
  };
  const alice = await signIn(postern, provider);
  change({ session: { keys, idleTimeout: '5m', absoluteTimeout: '1h', refreshBefore: '30s' } });
  await until(async () => (await metricOf(postern, taken)) === 1);
  expect((await heardFrom(postern, 'configuration reloaded'))[0]).toMatchObject({
    event: 'configuration_reloaded',
    changed: ['session.idleTimeout', 'session.absoluteTimeout', 'session.refreshBefore'],
    files: [postern.configFile],
  });
  const bob = await signIn(postern, provider, 'bob');
  const [[aliceIdle, aliceAbsolute], [bobIdle, bobAbsolute]] = [await remainingOf(alice), await remainingOf(bob)];
  expect(aliceIdle).toBeGreaterThan(300);
  expect(aliceAbsolute).toBeGreaterThan(3_600);
  expect(bobIdle).toBeLessThanOrEqual(300);
  expect(bobAbsolute).toBeLessThanOrEqual(3_600);
  const cookieEnds = ({ setCookie }: SignedIn): number => Date.parse(/Expires=([^;]+)/.exec(setCookie)![1]!);
  expect(cookieEnds(alice)).toBeGreaterThan(Date.now() + 3_600_000);
  expect(cookieEnds(bob)).toBeLessThanOrEqual(Date.now() + 3_600_000);
});

test('other limits of streams hold at once, and what is open stays open', async () => {
  const { postern, change } = await start({ limits: { websocketsPerSession: 2 } });
  const alice = await signIn(postern, provider);
  const open = () => openSocket(postern, '/ws', { Cookie: alice.cookie });
  const sockets = [await open(), await open()];
  change({ limits: { websocketsPerSession: 1 } });
  await until(async () => (await metricOf(postern, taken)) === 1);
  await expect(open()).rejects.toThrow();
  change({ limits: { websocketsPerSession: 3 } });
  await until(async () => (await metricOf(postern, taken)) === 2);
  sockets.push(await open());
  for (const socket of sockets) socket.send('still here');
  for (const socket of sockets) expect(await socket.heard(1)).toEqual(['echo still here']);
});
