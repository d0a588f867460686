// Event streams of an API, through two replicas with one store: they live as long as the session that they were asked for with, and no longer.
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newSessionKey, startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { hasListeners } from '../support/stores.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let provider: RealProvider;
let redis: RedisServer;
let api: RecordingUpstream;
let near: LocalPostern;
let far: LocalPostern;
const open = new Set<ServerResponse>();

beforeAll(async () => {
  [provider, redis, api] = await Promise.all([startRealProvider(), startRedis(), RecordingUpstream.start()]);
  api.answer = (_request, response) => {
    open.add(response);
    response.on('close', () => open.delete(response));
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).write('data: hello\n\n');
  };
  const shared = {
    session: { keys: [newSessionKey()] },
    routes: [
      { path: '/api', upstream: api.url },
      { path: '/open', upstream: api.url, auth: 'none' },
    ],
    redis: { url: redis.url },
    limits: { streams: 8 },
  };
  near = await startPostern(provider, shared);
  far = await startPostern(provider, { ...shared, publicUrl: near.publicUrl, listen: '127.0.0.1:0' });
  await until(() => hasListeners(redis, 2));
});
afterAll(async () => {
  await Promise.all([near.stop(), far.stop()]);
  await api.stop();
  await provider.close();
  await redis[Symbol.asyncDispose]();
});

async function ask(on: LocalPostern, path: string, cookie: string): Promise<IncomingMessage> {
  const headers = {
    host: new URL(on.publicUrl).host,
    cookie,
    'sec-fetch-site': 'same-origin',
    'sec-fetch-mode': 'cors',
  };
  const [answer] = (await once(httpRequest(on.address + path, { headers, agent: false }).end(), 'response')) as [
    IncomingMessage,
  ];
  // A cut is an end like another.
  return answer.on('error', () => undefined).resume();
}

const endOf = (stream: IncomingMessage): Promise<unknown> => new Promise((resolve) => stream.once('close', resolve));

test('a logout ends an API’s event streams on every replica within a second, at the API too (CS-13)', async () => {
  const alice = await signIn(near, provider);
  const bob = await signIn(near, provider, 'bob');
  const streams = await Promise.all([near, far].map((on) => ask(on, '/api/feed', alice.cookie)));
  const bobs = await ask(far, '/api/feed', bob.cookie);
  const anonymous = await ask(far, '/open/feed', alice.cookie);
  expect(open.size).toBe(4);

  const ended = Promise.all(streams.map(endOf));
  const watch = startStopwatch();
  expect((await alice.call('/bff/logout', { method: 'POST' })).status).toBe(200);
  await ended;
  expect(watch.elapsedMs()).toBeLessThan(1_000);
  watch.stop();
  await until(() => open.size === 2);
  expect([bobs.destroyed, anonymous.destroyed]).toEqual([false, false]);
  const again = await ask(far, '/api/feed', alice.cookie);
  expect(again.statusCode).toBe(401);

  for (const stream of [bobs, anonymous]) stream.destroy();
  await until(() => open.size === 0);
  expect(await near.metric('postern_event_streams ')).toEqual(['postern_event_streams 0']);
  expect(await far.metric('postern_event_streams ')).toEqual(['postern_event_streams 0']);
});

test('where there is no room for another stream the answer is 503, and the API’s is cut', async () => {
  const alice = await signIn(near, provider);
  const streams = await Promise.all(Array.from({ length: 8 }, () => ask(near, '/api/feed', alice.cookie)));
  const refused = await ask(near, '/api/feed', alice.cookie);
  expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '5']);
  await until(() => open.size === 8);
  for (const stream of streams) stream.destroy();
  await until(() => open.size === 0);
});
