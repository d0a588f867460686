// SIGTERM to a process that is at work, as every deploy sends it: what is under way is finished, what would stay open is told to come again elsewhere.
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { openEvents } from '../support/event-stream.ts';
import { freePort } from '../support/free-port.ts';
import { baseConfig, register, startPostern, startPosternProcess } from '../support/postern.ts';
import type { ConfigInput, PosternProcess } from '../support/postern.ts';
import { connect, parseAnswers, valuesOf } from '../support/raw-client.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import { openSocket } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let provider: RealProvider;
let api: RecordingUpstream;
let sockets: SocketUpstream;
beforeAll(async () => {
  [provider, api, sockets] = await Promise.all([
    startRealProvider(),
    RecordingUpstream.start(),
    SocketUpstream.start(),
  ]);
});
beforeEach(() => api.reset());
afterAll(async () => {
  await Promise.all([provider.close(), api.stop(), sockets.stop()]);
});

async function startOne(overrides: ConfigInput = {}): Promise<PosternProcess> {
  const config = baseConfig(await freePort(), provider, {
    routes: [
      { path: '/api', upstream: api.url },
      { path: '/ws', upstream: sockets.url, websocket: true },
    ],
    ...overrides,
  });
  register(provider, String(config['publicUrl']));
  return startPosternProcess(config);
}

test('calls under way are answered in full, streams and sockets are closed, nobody new is let in, and it ends with 0 (ST-20, PX-19)', async () => {
  const postern = await startOne();
  const waiting: ServerResponse[] = [];
  try {
    const alice = await signIn(postern, provider);
    const [events, socket] = [
      await openEvents(alice, postern),
      await openSocket(postern, '/ws', { Cookie: alice.cookie }),
    ];
    api.answer = (_request, response) => void waiting.push(response);
    const calls = Array.from({ length: 20 }, () => alice.call('/api/x'));
    // As browsers do, ahead of a request that may come.
    const ahead = connect(postern.address);
    await once(ahead.resume(), 'connect');
    await until(() => waiting.length === calls.length);

    postern.signal('SIGTERM');
    await events.ended();
    expect(await socket.ended()).toMatchObject({ code: 1012 });
    await until(() => ahead.closed);
    await expect(alice.call('/api/x')).rejects.toThrow();
    for (const response of waiting) response.end('to the end');
    const answers = await Promise.all(calls);
    expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).toEqual(new Set(['200 to the end']));
    expect(new Set(answers.map(({ headers }) => headers['connection']))).toEqual(new Set(['close']));
    expect(await postern.exitCode).toBe(0);
    expect(postern.output.filter((line) => /unhandled|uncaught|"level":"?(fatal|60)/i.test(line))).toEqual([]);
  } finally {
    await postern.stop();
  }
});

test.each([1, 2])(
  'after SIGTERM it says that it is not ready, and serves on until those in front have noticed (%i workers; ST-20)',
  async (workers) => {
    await using redis = await startRedis();
    const postern = await startOne({ workers, redis: { url: redis.url }, shutdown: { delay: '4s' } });
    try {
      const alice = await signIn(postern, provider);
      const events = await openEvents(alice, postern);
      const readyStatus = async (): Promise<number> => (await fetch(`${postern.operationsUrl}/readyz`)).status;
      await until(async () => (await readyStatus()) === 200);
      const from = performance.now();
      postern.signal('SIGTERM');
      await until(async () => (await readyStatus()) === 503);
      await until(async () => (await alice.call('/api/x')).headers['connection'] === 'close');
      expect([(await alice.call('/api/x')).status, events.endedAt]).toEqual([200, undefined]);
      await events.ended();
      expect(events.endedAt! - from).toBeGreaterThan(3_900);
      expect(await postern.exitCode).toBe(0);
    } finally {
      await postern.stop();
    }
  },
);

test('SIGINT, as a person at a terminal sends it, waits for nobody in front', async () => {
  const postern = await startOne({ shutdown: { delay: '1m' } });
  const watch = startStopwatch();
  postern.signal('SIGINT');
  expect(await postern.exitCode).toBe(0);
  expect(watch.elapsedMs()).toBeLessThan(10_000);
  watch.stop();
  await postern.stop();
});

test.each(['SIGTERM', 'SIGINT'] as const)('a second signal, here %s, ends the process at once', async (second) => {
  const postern = await startOne({ shutdown: { delay: '1m' } });
  postern.signal('SIGTERM');
  await until(() => postern.output.some((line) => line.includes('"msg":"draining"')));
  postern.signal(second);
  expect(await postern.exitCode).toBeNull();
  await postern.stop();
});

test('an API that never answers keeps it from ending for the grace time and no longer (ST-20)', async () => {
  const postern = await startPostern(provider, { routes: [{ path: '/api', upstream: api.url }] });
  const alice = await signIn(postern, provider);
  api.answer = () => undefined;
  const asked = api.requests.length;
  const call = alice.call('/api/x').catch(() => 'cut');
  await until(() => api.requests.length > asked);
  const watch = startStopwatch();
  await postern.stop(); // With a grace of two seconds.
  expect(watch.elapsedMs()).toBeLessThan(4_000);
  watch.stop();
  expect(await call).toBe('cut');
});

test('an idle connection is kept longer than a load balancer keeps it, and the answer does not say otherwise (PX-19)', async () => {
  const postern = await startOne();
  try {
    const socket = connect(postern.address);
    socket.write(`GET /bff/session HTTP/1.1\r\nHost: ${new URL(postern.publicUrl).host}\r\n\r\n`);
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    await until(() => parseAnswers(text)[0]?.body.endsWith('}') ?? false);
    const [answer] = parseAnswers(text);
    const kept = Number(/timeout=(\d+)/.exec(valuesOf(answer!, 'keep-alive').join())?.[1]);
    expect([answer!.status, kept > 60]).toEqual([200, true]);
    expect(valuesOf(answer!, 'connection')).toEqual(['keep-alive']);
    socket.destroy();
  } finally {
    await postern.stop();
  }
});
