// The stream itself, with a heart that beats faster than in production.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createEvents } from '../../../src/login/events.ts';
import { createSessionCookie, hashOf } from '../../../src/session/cookie.ts';
import { createStreams } from '../../../src/session/streams.ts';
import type { Streams } from '../../../src/session/streams.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import type { Store } from '../../../src/store/store.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { openEvents } from '../../support/event-stream.ts';
import type { EventStream } from '../../support/event-stream.ts';
import { serve } from '../../support/express-app.ts';
import type { ServedHandler } from '../../support/express-app.ts';
import { signedValue } from '../../support/signed-cookie.ts';
import { until } from '../../support/until.ts';

const now = (): number => performance.timeOrigin + performance.now();
const sessionId = 'x'.repeat(43);
const h = hashOf(sessionId);
const cookie = createSessionCookie({
  publicUrl: 'http://localhost:8080',
  baseName: 'postern',
  sameSite: 'strict',
  maxAgeMs: () => undefined,
  secrets: () => ['a secret'],
});
const signedIn = { cookie: `${cookie.name}=${signedValue(sessionId, 'a secret')}` };

let store: Store;
let streams: Streams;
let app: ServedHandler;
const metrics = createMetrics();

const limits = { perSession: 2, perProcess: 2 };

beforeEach(async () => {
  store = createMemoryStore({ now });
  await store.put(h, {
    main: '',
    expiresInMs: undefined,
    idleMs: 60_000,
    absoluteMs: 60_000,
    clientId: 'postern',
    issuer: 'https://id.example.com',
  });
  streams = createStreams({ store, limits: () => ({ events: limits, websocket: limits }), now, random: () => 0 });
  const events = createEvents({
    cookie,
    streams,
    // The session is the store's to judge here; how tokens are opened is the vault's.
    vault: { load: () => Promise.resolve({ kind: 'signed-in' } as never) },
    requireOwnPages: () => undefined,
    random: () => 0,
    heartbeatMs: 50,
    metrics,
  });
  app = await serve((request, response) => events(request, response, () => undefined));
});
afterEach(async () => {
  streams.drain();
  await app[Symbol.asyncDispose]();
  await store.close();
});

const open = (): Promise<EventStream> =>
  openEvents(signedIn, { ...app, operationsUrl: '', stop: () => Promise.resolve() });
const openStreams = async (): Promise<number> => (await metrics.eventStreams.get()).values[0]!.value;

test('a quiet stream shows signs of life, which are no events', async () => {
  const stream = await open();
  await until(() => stream.comments >= 3);
  expect(stream).toMatchObject({ retryMs: 2_000, events: [], endedAt: undefined });
});

test('a reader that reads nothing is cut, and what it was to hear is not piled up', async () => {
  const { port } = new URL(app.address);
  const socket: Socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  socket.pause();
  socket.on('error', () => undefined);
  socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\nCookie: ${signedIn.cookie}\r\n\r\n`);
  await until(async () => (await openStreams()) === 1);
  await until(async () => {
    for (let count = 0; count < 20_000; count += 1) streams.notice({ what: 'refreshed', h, revision: count });
    return (await openStreams()) === 0;
  });
  socket.destroy();
});

test('a reader that reads nothing does not keep an ended stream open either', async () => {
  const { port } = new URL(app.address);
  const socket: Socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  socket.pause();
  socket.on('error', () => undefined);
  socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\nCookie: ${signedIn.cookie}\r\n\r\n`);
  await until(async () => (await openStreams()) === 1);
  // More than the system takes off our hands, less than it refuses in one piece.
  for (let count = 0; count < 150_000; count += 1) streams.notice({ what: 'refreshed', h, revision: count });
  streams.notice({ what: 'ended', h, reason: 'logout' });
  await until(async () => (await openStreams()) === 0);
  socket.destroy();
});
