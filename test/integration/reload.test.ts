// Another configuration in a running process: taken over whole or not at all, and nobody who is being served notices.
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { request } from 'undici';
import { openEvents } from '../support/event-stream.ts';
import { newSessionKey } from '../support/postern.ts';
import type { ConfigInput, PosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { heardFrom, hostOf, refused, saidIn, startReloadable, taken } from '../support/reloadable.ts';
import type { Reloadable } from '../support/reloadable.ts';
import { startRedis } from '../support/redis.ts';
import { metricOf } from '../support/replicas.ts';
import { signIn } from '../support/signed-in.ts';
import { openSocket } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { startLoad } from '../support/steady-load.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

const degraded = 'postern_degraded{part="configuration"}';

let provider: RealProvider;
let api: RecordingUpstream;
let sockets: SocketUpstream;
const running: PosternProcess[] = [];

beforeAll(async () => {
  [provider, api, sockets] = await Promise.all([
    startRealProvider(),
    RecordingUpstream.start(),
    SocketUpstream.start(),
  ]);
});
beforeEach(() => api.reset());
afterEach(async () => {
  await Promise.all(running.splice(0).map((postern) => postern.stop()));
});
afterAll(async () => {
  await Promise.all([provider.close(), api.stop(), sockets.stop()]);
});

async function start(overrides: ConfigInput = {}): Promise<Reloadable> {
  const routes = [
    { path: '/api', upstream: api.url },
    { path: '/ws', upstream: sockets.url, websocket: true },
  ];
  const reloadable = await startReloadable(provider, { routes, ...overrides });
  running.push(reloadable.postern);
  return reloadable;
}

const marked = (mark: string) => [
  { path: '/api', upstream: api.url, headers: { response: { set: { 'x-mark': mark } } } },
  { path: '/ws', upstream: sockets.url, websocket: true },
];

const openRoutes = (mark: string) => marked(mark).map((route) => ({ ...route, auth: 'none' }));

/** What eight calls on connections of their own, which go to the workers in turn, are marked with. */
async function marks(postern: PosternProcess, path = '/api/x'): Promise<Set<string>> {
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => request(postern.address + path, { headers: hostOf(postern), reset: true })),
  );
  await Promise.all(answers.map(({ body }) => body.dump()));
  return new Set(answers.map(({ headers }) => String(headers['x-mark'])));
}

interface LogLine {
  requestId?: string;
  worker?: number;
  module?: string;
}

async function readiness({ operationsUrl }: PosternProcess) {
  const answer = await fetch(`${operationsUrl}/readyz`);
  return { status: answer.status, body: (await answer.json()) as { status: string; parts: Record<string, string> } };
}

test('20 reloads under 200 calls a second lose none, and the last configuration is in force', async () => {
  const { postern, change } = await start();
  const alice = await signIn(postern, provider);
  const load = startLoad(200, async () => (await alice.call('/api/x')).status);
  for (let reload = 1; reload <= 20; reload += 1) {
    const before = load.made();
    change({ routes: marked(String(reload)) });
    if (reload % 2 === 0) postern.signal('SIGHUP');
    await until(async () => (await alice.call('/api/x')).headers['x-mark'] === String(reload));
    await until(() => load.made() >= before + 20);
  }
  await load.stop();
  expect(load.failures).toEqual([]);
  expect(load.made()).toBeGreaterThan(400);
  expect(await metricOf(postern, taken)).toBeGreaterThanOrEqual(20);
}, 180_000);

test('calls under way finish by the former configuration; streams, sockets and sessions stay', async () => {
  const { postern, change } = await start();
  const alice = await signIn(postern, provider);
  const [events, socket] = [
    await openEvents(alice, postern),
    await openSocket(postern, '/ws', { Cookie: alice.cookie }),
  ];
  const waiting: ServerResponse[] = [];
  api.answer = (_request, response) => void waiting.push(response);
  const call = alice.call('/api/x');
  await until(() => waiting.length === 1);

  change({ routes: [{ path: '/other', upstream: api.url }] });
  await until(async () => (await metricOf(postern, taken)) === 1);
  expect((await alice.call('/api/y')).status).toBe(404);
  waiting[0]!.end('to the end');
  expect(await call).toMatchObject({ status: 200, body: 'to the end' });
  api.reset();
  expect((await alice.call('/other')).status).toBe(200);
  socket.send('still here');
  expect(await socket.heard(1)).toEqual(['echo still here']);
  expect([events.endedAt, socket.ending]).toEqual([undefined, undefined]);
  // And what happens to the session still reaches them.
  expect((await alice.call('/bff/logout', { method: 'POST' })).status).toBeLessThan(400);
  await events.ended();
  await socket.ended();
});

test('what is under way at an upstream, and what a session has asked for, counts on', async () => {
  const { postern, change } = await start({
    limits: { upstreamRequests: 2, sessionRequests: { count: 4, per: '1h' } },
  });
  const alice = await signIn(postern, provider);
  const waiting: ServerResponse[] = [];
  api.answer = (_request, response) => void waiting.push(response);
  const held = [alice.call('/api/x'), alice.call('/api/x')];
  await until(() => waiting.length === 2);
  change({ routes: marked('new') });
  await until(async () => (await metricOf(postern, taken)) === 1);
  expect((await alice.call('/api/x')).status).toBe(503);
  for (const response of waiting) response.end();
  expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
  api.reset();
  const last = await alice.call('/api/x');
  expect([last.status, last.headers['x-mark']]).toEqual([200, 'new']);
  expect((await alice.call('/api/x')).status).toBe(429);
});

test('a file that is wrong changes nothing: log, metric and readiness say so until it is right again', async () => {
  const { postern, write, change } = await start();
  const startedAt = await metricOf(postern, 'postern_config_last_reload_success_timestamp_seconds');
  expect(startedAt).toBeGreaterThan(1_700_000_000);
  const right = readFileSync(postern.configFile, 'utf8');
  write(right.replace('"routes"', '"rutes"'));
  await until(async () => (await metricOf(postern, refused)) === 1);
  expect(await readiness(postern)).toMatchObject({
    status: 200,
    body: { status: 'degraded', parts: { configuration: 'down' } },
  });
  expect(await metricOf(postern, degraded)).toBe(1);
  const [line] = await heardFrom(postern, 'configuration refused: the former one stays in force');
  expect(line!['problems'].join()).toContain('rutes');
  expect((await request(`${postern.address}/api/x`, { headers: hostOf(postern) })).statusCode).toBe(401);

  change({ routes: marked('right') });
  await until(async () => (await metricOf(postern, taken)) === 1);
  expect((await readiness(postern)).body.parts['configuration']).toBe('up');
  expect(await metricOf(postern, degraded)).toBe(0);
  const last = await metricOf(postern, 'postern_config_last_reload_success_timestamp_seconds');
  expect(last).toBeGreaterThan(startedAt);
});

test('what needs a restart is refused by name, and nothing of that file is taken over', async () => {
  const { postern, change } = await start();
  const alice = await signIn(postern, provider);
  change({
    routes: marked('new'),
    session: { keys: [newSessionKey()], nearCache: { maxEntries: 5 } },
    cookie: { name: 'other' },
    log: { level: 'error', format: 'json' },
  });
  await until(async () => (await metricOf(postern, refused)) === 1);
  const [line] = await heardFrom(postern, 'configuration refused: the former one stays in force');
  const problems = line!['problems'] as string[];
  expect(problems.map((problem) => /: (\S+) cannot change/.exec(problem)?.[1])).toEqual([
    'session.nearCache.maxEntries',
    'cookie.name',
  ]);
  const answer = await alice.call('/api/x');
  expect([answer.status, answer.headers['x-mark']]).toEqual([200, undefined]);
});

test.each([1, 2])(
  'the level of a module changes at once, in every process that serves (%i)',
  async (workers) => {
    await using redis = await startRedis();
    const { postern, change } = await start({
      log: { level: 'info', format: 'json' },
      ...(workers > 1 && { workers, redis: { url: redis.url } }),
    });
    /** What was told of the calls of a path, by which worker: `1 requests`. */
    const toldOf = (path: string): string[] => {
      const ids = api.requests.filter(({ target }) => target === path).map(({ headers }) => headers['x-request-id']);
      const lines = postern.output.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine);
      const told = lines.filter(({ requestId }) => requestId !== undefined && ids.includes(requestId));
      return [...new Set(told.map(({ worker = 1, module }) => `${worker} ${module}`))].sort();
    };
    const everywhere = (module: string): string[] =>
      Array.from({ length: workers }, (_, index) => `${index + 1} ${module}`);
    const callUnder = async (log: ConfigInput, path: string, module: string): Promise<void> => {
      change({ log: { format: 'json', ...log }, routes: openRoutes(path) });
      await until(async () => [...(await marks(postern, '/api/wait'))].join() === path);
      await until(async () => {
        await marks(postern, path);
        return everywhere(module).every((told) => toldOf(path).includes(told));
      });
    };
    await callUnder({ level: 'info', levels: { requests: 'warn', proxy: 'debug' } }, '/api/one', 'proxy');
    await callUnder({ level: 'info' }, '/api/two', 'requests');
    await callUnder({ level: 'warn', levels: { proxy: 'debug' } }, '/api/three', 'proxy');
    expect(toldOf('/api/one')).toEqual(everywhere('proxy'));
    expect(toldOf('/api/two')).toEqual(everywhere('requests'));
    expect(toldOf('/api/three')).toEqual(everywhere('proxy'));
  },
  180_000,
);

test('every worker takes the configuration over, and one that replaces another starts with it', async () => {
  await using redis = await startRedis();
  const { postern, change } = await start({ workers: 2, redis: { url: redis.url } });
  change({ routes: openRoutes('one').slice(0, 1) });
  await until(async () => [...(await marks(postern))].join() === 'one');
  await until(async () => (await metricOf(postern, taken)) === 1);
  await until(async () => (await readiness(postern)).body.parts['workers'] === 'up');
  expect((await readiness(postern)).body.parts['configuration']).toBe('up');

  process.kill(Number(saidIn(postern, 'a worker listens')[0]!['pid']), 'SIGKILL');
  await until(() => saidIn(postern, 'a worker listens').length === 3);
  expect(await marks(postern)).toEqual(new Set(['one']));

  change({ redis: { url: 'redis://127.0.0.1:1' } });
  await until(async () => (await metricOf(postern, refused)) === 1);
  expect((await readiness(postern)).body.parts['configuration']).toBe('down');
  expect(await marks(postern)).toEqual(new Set(['one']));
}, 180_000);
