// The register of open streams, on an embedded store with real time: nothing is kept of what has gone, and no end is missed.
import { afterEach, expect, test } from '@jest/globals';
import type { CloseReason, SessionNews, SessionStream, StreamKind, Streams } from '../../../src/session/streams.ts';
import { createStreams } from '../../../src/session/streams.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import type { EndReason, NewTokenRecord, Store } from '../../../src/store/store.ts';
import { StoreUnavailable } from '../../../src/store/store.ts';
import { until } from '../../support/until.ts';

const now = (): number => performance.timeOrigin + performance.now();
const toClose: { streams: Streams; store: Store }[] = [];

afterEach(async () => {
  for (const { streams, store } of toClose.splice(0)) {
    streams.drain();
    await store.close();
  }
});

interface Given {
  limits?: { perSession: number; perProcess: number };
  /** What stands between the register and its store. */
  over?: (store: Store) => Pick<Store, 'load' | 'listening'>;
}

function open({ limits = { perSession: 3, perProcess: 5 }, over = (store) => store }: Given = {}) {
  const store = createMemoryStore({ now });
  const streams = createStreams({
    store: over(store),
    limits: () => ({ events: limits, websocket: { perSession: 1, perProcess: 2 } }),
    now,
    random: () => 0.5,
  });
  toClose.push({ streams, store });
  const signIn = (
    h: string,
    { idleMs = 60_000, absoluteMs = 600_000, ...refreshEnd }: Partial<NewTokenRecord> = {},
  ): Promise<void> =>
    store.put(h, {
      main: '',
      expiresInMs: undefined,
      idleMs,
      absoluteMs,
      clientId: 'c',
      issuer: 'i',
      ...refreshEnd,
    });
  return { store, streams, signIn };
}

interface Listener extends SessionStream {
  news: SessionNews[];
  closed: CloseReason[];
}

function listener(onClose: () => void = () => undefined, kind: StreamKind = 'events'): Listener {
  const news: SessionNews[] = [];
  const closed: CloseReason[] = [];
  return {
    kind,
    news,
    closed,
    tell: (told) => void news.push(told),
    close(reason) {
      closed.push(reason);
      onClose();
    },
  };
}

const reasons: EndReason[] = ['logout', 'replaced', 'revoked', 'back-channel', 'front-channel', 'limit', 'admin'];

test.each(reasons)('the end of a session, %s, closes its streams with that reason and no others', async (reason) => {
  const { streams, signIn } = open();
  await Promise.all([signIn('a'), signIn('b')]);
  const [first, second, other] = [listener(), listener(), listener()];
  streams.open('a', first);
  streams.open('a', second);
  streams.open('b', other);
  streams.notice({ what: 'ended', h: 'a', reason });
  streams.notice({ what: 'ended', h: 'a', reason });
  expect([first.closed, second.closed, other.closed]).toEqual([[reason], [reason], []]);
});

test('a failed refresh is nobody’s news; a refresh is', async () => {
  const { streams, signIn } = open();
  await signIn('a');
  const stream = listener();
  streams.open('a', stream);
  streams.notice({ what: 'failed', h: 'a', revision: 1 });
  streams.notice({ what: 'refreshed', h: 'b', revision: 2 });
  expect(stream.news).toEqual([]);
  streams.notice({ what: 'refreshed', h: 'a', revision: 2 });
  expect(stream.news).toEqual([{ what: 'refreshed' }]);
});

test('a session and a process take only so many streams, and leaving makes room exactly once', async () => {
  const { streams, signIn } = open();
  await Promise.all([signIn('a'), signIn('b'), signIn('c')]);
  const opened = ['a', 'a', 'a', 'b', 'c'].map((h) => streams.open(h, listener()));
  expect(opened.map(({ kind }) => kind)).toEqual(Array(5).fill('open'));
  expect(streams.open('b', listener())).toEqual({ kind: 'full', of: 'process' });
  for (let time = 0; time < 2; time += 1) opened.forEach((one) => one.kind === 'open' && one.leave());
  for (let count = 0; count < 3; count += 1) expect(streams.open('a', listener()).kind).toBe('open');
  expect(streams.open('a', listener())).toEqual({ kind: 'full', of: 'session' });
});

test('streams that leave because they are closed are counted once', async () => {
  const { streams, signIn } = open();
  await signIn('a');
  for (let round = 0; round < 4; round += 1) {
    for (let count = 0; count < 3; count += 1) {
      const stream = listener(() => opening.kind === 'open' && opening.leave());
      const opening = streams.open('a', stream);
      expect(opening.kind).toBe('open');
    }
    streams.endAll('a', 'logout');
  }
  await Promise.all([signIn('b'), signIn('c')]);
  const again = ['a', 'a', 'b', 'b', 'c', 'c'].map((h) => streams.open(h, listener()).kind);
  expect(again).toEqual(['open', 'open', 'open', 'open', 'open', 'full']);
});

test('event streams take no room from WebSockets, and each kind has limits of its own', async () => {
  const { streams, signIn } = open();
  await Promise.all([signIn('a'), signIn('b')]);
  const socket = (h: string | undefined) => streams.open(h, listener(undefined, 'websocket'));
  for (let count = 0; count < 3; count += 1) streams.open('a', listener());
  expect(socket('a').kind).toBe('open');
  expect(socket('a')).toEqual({ kind: 'full', of: 'session' });
  expect(socket(undefined).kind).toBe('open');
  expect(socket('b')).toEqual({ kind: 'full', of: 'process' });
  expect(streams.open('b', listener()).kind).toBe('open');
});

test('a stream without a session hears of no logout, and of the end of the process', async () => {
  const { streams, signIn } = open();
  await signIn('a');
  const stream = listener(undefined, 'websocket');
  streams.open(undefined, stream);
  streams.endAll('a', 'logout');
  streams.silence();
  expect(stream.closed).toEqual([]);
  streams.drain();
  expect(stream.closed).toEqual(['draining']);
  expect(streams.open(undefined, listener(undefined, 'websocket'))).toEqual({ kind: 'full', of: 'process' });
});

test('a stream whose session has ended in the moment of opening is closed, though no message comes', async () => {
  const { streams } = open();
  const stream = listener();
  streams.open('gone', stream);
  await until(() => stream.closed.length > 0);
  expect(stream.closed).toEqual(['unknown']);
});

test('the notice comes once, to those who open later as well, and the end after it', async () => {
  const { streams, signIn } = open();
  await signIn('a', { idleMs: 2_500 });
  const [early, late] = [listener(), listener()];
  streams.open('a', early);
  await until(() => early.news.length > 0);
  streams.open('a', late);
  expect(late.news).toMatchObject([{ what: 'expiring', reason: 'idle' }]);
  // Asked again in between, the store says the same.
  streams.silence();
  await until(() => early.closed.length > 0);
  expect([early.closed, late.closed]).toEqual([['idle'], ['idle']]);
  expect([early.news.length, late.news.length]).toEqual([1, 1]);
});

test('activity after the notice puts the end off, and the next end has a notice of its own', async () => {
  const { store, streams, signIn } = open();
  await signIn('a', { idleMs: 2_500 });
  const stream = listener();
  streams.open('a', stream);
  await until(() => stream.news.length === 1);
  await store.slide('a');
  await until(() => stream.news.length === 2);
  expect(stream.closed).toEqual([]);
  await until(() => stream.closed.length > 0);
  expect(stream.closed).toEqual(['idle']);
  expect(stream.news).toHaveLength(2);
});

test('a store that is away ends no session, save by the absolute end, which nothing moves', async () => {
  let away = false;
  const { streams, signIn } = open({
    over: (store) => ({
      listening: () => true,
      load: (h) => (away ? Promise.reject(new StoreUnavailable('away')) : store.load(h)),
    }),
  });
  await Promise.all([
    signIn('idle', { idleMs: 2_500 }),
    // Another replica may have moved that end.
    signIn('refresh', { refreshExpiresInMs: 2_500 }),
    signIn('absolute', { idleMs: 2_500, absoluteMs: 2_500 }),
  ]);
  const [idle, refresh, absolute] = [listener(), listener(), listener()];
  streams.open('idle', idle);
  streams.open('refresh', refresh);
  streams.open('absolute', absolute);
  await until(() => [idle, refresh, absolute].every(({ news }) => news.length === 1));
  away = true;
  await until(() => absolute.closed.length > 0);
  expect(absolute.closed).toEqual(['absolute']);
  expect([idle.closed, refresh.closed]).toEqual([[], []]);
});

test('when messages may have been missed every session is asked about at once', async () => {
  const { store, streams, signIn } = open({ over: (store) => ({ load: (h) => store.load(h), listening: () => true }) });
  await Promise.all([signIn('a'), signIn('b')]);
  const [ended, alive] = [listener(), listener()];
  streams.open('a', ended);
  streams.open('b', alive);
  await store.end('a', 'logout');
  expect(ended.closed).toEqual([]);
  streams.silence();
  await until(() => ended.closed.length > 0);
  expect(ended.closed).toEqual(['unknown']);
  expect(alive.closed).toEqual([]);
});

test('as long as messages are not known to arrive the store is asked again and again', async () => {
  const { store, streams, signIn } = open({
    over: (store) => ({ load: (h) => store.load(h), listening: () => false }),
  });
  await signIn('a');
  const stream = listener();
  streams.open('a', stream);
  await store.end('a', 'logout');
  await until(() => stream.closed.length > 0);
});

test('a drain closes every stream as such and takes no more', async () => {
  const { streams, signIn } = open();
  await Promise.all([signIn('a'), signIn('b')]);
  const [first, second] = [listener(), listener()];
  streams.open('a', first);
  streams.open('b', second);
  streams.drain();
  expect([first.closed, second.closed]).toEqual([['draining'], ['draining']]);
  expect(streams.open('a', listener())).toEqual({ kind: 'full', of: 'process' });
});
