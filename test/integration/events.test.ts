// /bff/events: an app hears of the end of its session, and of new tokens, while it sits and waits.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { logIn, openBrowser } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { openEvents } from '../support/event-stream.ts';
import type { EventStream } from '../support/event-stream.ts';
import { newSessionKey, startPostern } from '../support/postern.ts';
import type { ConfigInput, LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { RecordingUpstream } from '../support/upstream.ts';
import { until } from '../support/until.ts';

let provider: RealProvider;
let upstream: RecordingUpstream;
let postern: LocalPostern;
const toClose: (() => Promise<void>)[] = [];

beforeAll(async () => {
  provider = await startRealProvider();
  upstream = await RecordingUpstream.start();
  postern = await startPostern(provider);
});
afterEach(async () => {
  for (const close of toClose.splice(0)) await close();
});
afterAll(async () => {
  await postern.stop();
  await upstream.stop();
  await provider.close();
});

/** A Postern whose sessions end soon. */
async function shortLived(session: ConfigInput): Promise<LocalPostern> {
  const brief = await startPostern(provider, {
    session: { keys: [newSessionKey()], ...session },
    routes: [{ path: '/api', upstream: upstream.url }],
  });
  toClose.push(() => brief.stop());
  return brief;
}

const cookiesIn = ({ jar }: Browser): { cookie: string } => ({
  cookie: jar.headerFor(new URL(postern.publicUrl), { isSameSite: true, isTopLevelRead: false }),
});
const namesOf = (stream: EventStream): string[] => stream.events.map(({ name }) => name);
const openStreams = async (on: LocalPostern): Promise<number> =>
  Number((await on.metric('postern_event_streams ')).join('').split(' ')[1]);
const authenticated = async (user: SignedIn, on: LocalPostern): Promise<boolean> =>
  (JSON.parse((await user.call('/bff/session', { on })).body) as { authenticated: boolean }).authenticated;

test('a stream is a stream: its type, nothing stored, nothing buffered, and when to come back', async () => {
  const alice = await signIn(postern, provider);
  const stream = await openEvents(alice, postern);
  expect(stream).toMatchObject({
    status: 200,
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    },
  });
  await until(() => stream.retryMs !== undefined);
  expect(stream.retryMs).toBeGreaterThanOrEqual(2_000);
  expect(stream.retryMs).toBeLessThan(5_000);
  stream.abort();
});

test('a logout ends every open stream of the session, and no other session’s, within a second (CS-13)', async () => {
  const [alice, bob] = [await signIn(postern, provider), await signIn(postern, provider, 'bob')];
  const tabs = [await openEvents(alice, postern), await openEvents(alice, postern)];
  const bobs = await openEvents(bob, postern);
  const watch = startStopwatch();
  expect((await alice.call('/bff/logout', { method: 'POST' })).status).toBe(200);
  for (const tab of tabs) {
    await tab.ended();
    expect(tab.events).toMatchObject([{ name: 'ended', data: { reason: 'logout' } }]);
    expect(watch.elapsedMs(tab.endedAt)).toBeLessThan(1_000);
  }
  watch.stop();
  expect((await openEvents(alice, postern)).status).toBe(401);
  expect(bobs).toMatchObject({ events: [], endedAt: undefined });
  bobs.abort();
});

test('a refresh is told and closes nothing; a refresh token that the provider refuses ends the session as revoked (CS-13)', async () => {
  const impatient = await startRealProvider({ accessTokenTtlSeconds: 4 });
  toClose.push(() => impatient.close());
  const own = await startPostern(impatient, { routes: [{ path: '/api', upstream: upstream.url }] });
  toClose.unshift(() => own.stop());
  const alice = await signIn(own, impatient);
  const stream = await openEvents(alice, own);
  await alice.untilExpired();
  expect((await alice.call('/api/x')).status).toBe(200);
  expect((await stream.heard('refreshed')).data).toEqual({});
  expect(stream.endedAt).toBeUndefined();

  impatient.forgetGrants();
  await alice.untilExpired();
  expect((await alice.call('/api/x')).status).toBe(401);
  await stream.ended();
  expect(stream.events.at(-1)).toMatchObject({ name: 'ended', data: { reason: 'revoked' } });
});

test('a new login replaces the session: the old stream says so and ends, and the new cookie opens another', async () => {
  const browser = openBrowser(postern);
  await logIn(browser, provider);
  const before = await openEvents(cookiesIn(browser), postern);
  await logIn(browser, provider);
  await before.ended();
  expect(before.events).toMatchObject([{ name: 'replaced', data: {} }]);
  const after = await openEvents(cookiesIn(browser), postern);
  expect(after.status).toBe(200);
  after.abort();
});

test('a session that nobody uses ends while its stream is open: the stream warns, keeps nothing alive and closes as idle (SES-07, SES-05)', async () => {
  const own = await shortLived({ idleTimeout: '4s' });
  const from = performance.now();
  const alice = await signIn(own, provider);
  const watch = startStopwatch();
  const stream = await openEvents(alice, own);
  await stream.ended();
  expect(stream.events).toMatchObject([
    { name: 'expiring', data: { reason: 'idle', expiresIn: 0 } },
    { name: 'ended', data: { reason: 'idle' } },
  ]);
  const [warned, ended] = stream.events.map(({ at }) => at);
  expect(warned! - from).toBeGreaterThan(3_200);
  expect(watch.elapsedMs(warned)).toBeLessThan(3_900);
  expect(ended! - from).toBeGreaterThan(4_000);
  expect(watch.elapsedMs(ended)).toBeLessThan(5_000);
  watch.stop();
  expect(await authenticated(alice, own)).toBe(false);
});

test('activity puts the idle end off, and no end is announced that does not come', async () => {
  const own = await shortLived({ idleTimeout: '5s' });
  const alice = await signIn(own, provider);
  const stream = await openEvents(alice, own);
  const openedAt = performance.now();
  await until(async () => {
    expect((await alice.call('/api/x')).status).toBe(200);
    return performance.now() - openedAt > 6_000;
  });
  expect(stream).toMatchObject({ events: [], endedAt: undefined });
  await stream.ended();
  expect(namesOf(stream)).toEqual(['expiring', 'ended']);
});

test('the absolute end comes however busy the user is, and is announced as such (SES-06)', async () => {
  const own = await shortLived({ idleTimeout: '5s', absoluteTimeout: '6s' });
  const alice = await signIn(own, provider);
  const stream = await openEvents(alice, own);
  await until(async () => (await alice.call('/api/x')).status === 401);
  await stream.ended();
  expect(stream.events).toMatchObject([
    { name: 'expiring', data: { reason: 'absolute' } },
    { name: 'ended', data: { reason: 'absolute' } },
  ]);
});

test('a page of another site gets no stream; our own needs no X-CSRF, even where every call does (CSRF-11)', async () => {
  const strict = await startPostern(provider, { csrf: { requireHeader: true } });
  toClose.push(() => strict.stop());
  const alice = await signIn(strict, provider);
  const foreign: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
  ];
  for (const headers of foreign) {
    const answer = await openEvents(alice, strict, headers);
    expect(answer.status).toBe(403);
    await answer.ended();
    expect(answer.text()).toContain('"code":"csrf_rejected"');
  }
  const own = await openEvents(alice, strict);
  expect(own.status).toBe(200);
  own.abort();
  expect((await alice.call('/bff/session')).status).toBe(403);
  expect(await openStreams(strict)).toBe(0);
});

test('without a session there is no stream: 401 says whether there ever was one', async () => {
  const alice = await signIn(postern, provider);
  await alice.call('/bff/logout', { method: 'POST' });
  for (const [cookie, code] of [
    ['', 'session_required'],
    [`${alice.cookie}x`, 'session_required'],
    [`${alice.cookie}; ${alice.cookie}`, 'session_required'],
    [alice.cookie, 'session_expired'],
  ] as const) {
    const answer = await openEvents({ cookie }, postern);
    await answer.ended();
    expect(answer.status).toBe(401);
    expect(answer.text()).toContain(`"code":"${code}"`);
  }
});

test('the thirty-third stream of one session is refused, and there is room again once one has gone', async () => {
  const alice = await signIn(postern, provider);
  const tabs: EventStream[] = [];
  for (let tab = 0; tab < 32; tab += 1) tabs.push(await openEvents(alice, postern));
  const refused = await openEvents(alice, postern);
  expect(refused).toMatchObject({ status: 429, headers: { 'retry-after': '5' } });
  tabs[0]!.abort();
  await until(async () => {
    const again = await openEvents(alice, postern);
    again.abort();
    return again.status === 200;
  });
  for (const tab of tabs) tab.abort();
});

test('a process takes only as many streams as it is told to; the next caller is sent away with 503, still signed in', async () => {
  const own = await startPostern(provider, { limits: { streams: 1 } });
  toClose.push(() => own.stop());
  const [alice, bob] = [await signIn(own, provider), await signIn(own, provider, 'bob')];
  const first = await openEvents(alice, own);
  const refused = await openEvents(bob, own);
  await refused.ended();
  expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '5' } });
  expect(refused.text()).toContain('"code":"overloaded"');
  expect(await authenticated(bob, own)).toBe(true);
  first.abort();
});

test('a thousand streams, opened and aborted, leave nothing behind', async () => {
  const own = await startPostern(provider);
  toClose.push(() => own.stop());
  const alice = await signIn(own, provider);
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const round = async (): Promise<void> => {
    const streams = await Promise.all(Array.from({ length: 25 }, () => openEvents(alice, own)));
    expect(streams.map(({ status }) => status)).toEqual(Array(25).fill(200));
    for (const stream of streams) stream.abort();
    await until(async () => (await openStreams(own)) === 0);
  };
  await round();
  const before = timers();
  for (let rounds = 0; rounds < 40; rounds += 1) await round();
  // Each stream that had stayed would have kept its heartbeat.
  expect(timers()).toBeLessThan(before + 20);
  // And its place: these are all that a session may have.
  const full = await Promise.all(Array.from({ length: 32 }, () => openEvents(alice, own)));
  expect(full.filter(({ status }) => status !== 200)).toEqual([]);
  for (const stream of full) stream.abort();
});

test('a process that stops ends its streams at once, without an event: nobody is logged out', async () => {
  const own = await startPostern(provider);
  const alice = await signIn(own, provider);
  const stream = await openEvents(alice, own);
  const watch = startStopwatch();
  await own.stop();
  expect(watch.elapsedMs()).toBeLessThan(1_500);
  watch.stop();
  await stream.ended();
  expect(stream.events).toEqual([]);
});
