// Spans of several processes of one Postern, as a collector receives them: whose they are, that they make one trace, and that none is lost at the end.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { freePort } from '../support/free-port.ts';
import { baseConfig, register, startPosternProcess } from '../support/postern.ts';
import type { ConfigInput, PosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { saidIn } from '../support/reloadable.ts';
import { signIn } from '../support/signed-in.ts';
import { startSpanCollector } from '../support/span-collector.ts';
import type { ReceivedSpan } from '../support/span-collector.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

const adminToken = 'a token of at least thirty-two characters';
let provider: RealProvider;
let redis: RedisServer;
let api: RecordingUpstream;
let directory: string;
const running: PosternProcess[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'postern-tracing-'));
  [provider, redis, api] = await Promise.all([startRealProvider(), startRedis(), RecordingUpstream.start()]);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((postern) => postern.stop()));
});
afterAll(async () => {
  await Promise.all([provider.close(), api.stop(), redis[Symbol.asyncDispose]()]);
  rmSync(directory, { recursive: true });
});

/** Two workers, and a first process that ends sessions for operators, with these variables. */
async function start(env: Record<string, string>, overrides: ConfigInput = {}): Promise<PosternProcess> {
  const port = await freePort();
  const envFile = join(directory, `${port}.env`);
  writeFileSync(
    envFile,
    Object.entries(env)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const input = baseConfig(port, provider, {
    workers: 2,
    redis: { url: redis.url },
    routes: [{ path: '/api', upstream: api.url }],
    operations: { listen: '127.0.0.1:0', admin: { token: adminToken } },
    ...overrides,
  });
  register(provider, String(input['publicUrl']));
  const postern = await startPosternProcess(input, [`--env-file=${envFile}`]);
  running.push(postern);
  return postern;
}

/** The worker of each call of the API, by the trace that its line of the log names. */
const workersByTrace = (postern: PosternProcess): Map<string, unknown> =>
  new Map(
    saidIn(postern, 'request')
      .filter(({ route }) => route === '/api')
      .map((line) => [line['trace_id'] as string, line['worker']]),
  );

test('each worker and the first process send their spans under a name of their own, in one trace from call to API, and none is lost as they end', async () => {
  const collector = await startSpanCollector();
  // As an operator sets it who names the pod: every process of it hears the same.
  const postern = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_RESOURCE_ATTRIBUTES: 'service.instance.id=pod-7',
  });
  const alice = await signIn(postern, provider);
  const calls = 20;
  for (let call = 0; call < calls; call += 1)
    expect((await alice.call('/api/x', { headers: { connection: 'close' } })).status).toBe(200);
  const ended = await fetch(`${postern.operationsUrl}/admin/sessions?sub=alice`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${adminToken}` },
  });
  expect(ended.status).toBe(200);
  await until(() => workersByTrace(postern).size === calls);
  postern.signal('SIGTERM');
  expect(await postern.exitCode).toBe(0);

  const { spans } = collector;
  const workers = workersByTrace(postern);
  expect(new Set(workers.values())).toEqual(new Set([1, 2]));
  const servers = spans.filter(({ name, kind }) => name === 'GET /api' && kind === 2);
  expect(servers.map(({ traceId, resource }) => [traceId, resource['postern.worker']]).sort()).toEqual(
    [...workers].sort(),
  );
  const heard = new Set(api.requests.map(({ headers }) => headers['traceparent']));
  const callOf = ({ traceId, spanId }: ReceivedSpan): ReceivedSpan | undefined =>
    spans.find((span) => span.kind === 3 && span.traceId === traceId && span.parentSpanId === spanId);
  for (const server of servers) expect(heard).toContain(`00-${server.traceId}-${callOf(server)?.spanId}-01`);
  const byFirstProcess = spans.filter(({ resource }) => !('postern.worker' in resource));
  expect(byFirstProcess.map(({ name }) => name)).toContain('store end');
  expect(new Set(spans.map(({ resource }) => resource['service.instance.id']))).toEqual(new Set(['pod-7']));
  await collector.stop();
}, 180_000);

test('unless the environment names it, each process is an instance of its own', async () => {
  const collector = await startSpanCollector();
  const postern = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  const alice = await signIn(postern, provider);
  for (let call = 0; call < 10; call += 1) await alice.call('/api/x', { headers: { connection: 'close' } });
  await postern.stop();
  const instances = new Map(
    collector.spans.map(({ resource }) => [resource['service.instance.id'], resource['postern.worker']]),
  );
  expect([...instances.values()].sort()).toEqual([1, 2]);
  await collector.stop();
}, 180_000);

test('a collector that takes spans and never answers holds no process up for longer than it is given to stop', async () => {
  const silent = createServer((socket) => void socket.resume().on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const postern = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
  const alice = await signIn(postern, provider);
  await alice.call('/api/x');
  const watch = startStopwatch();
  postern.signal('SIGTERM');
  expect(await postern.exitCode).toBe(0);
  // OpenTelemetry's own limit is ten seconds.
  expect(watch.elapsedMs()).toBeLessThan(9_000);
  watch.stop();
  silent.close();
}, 180_000);
