// Several workers behind one listener, as `postern serve` runs them: real processes, a real Redis, a real provider.
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tls from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { request } from 'undici';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { baseConfig, startPosternProcess } from '../support/postern.ts';
import type { ConfigInput, PosternProcess } from '../support/postern.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { metricOf, refreshesOf, withReplicas } from '../support/replicas.ts';
import { signIn } from '../support/signed-in.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { expireToken } from '../support/token-age.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

const unused = { issuer: 'http://localhost:9', clientId: 'shop', clientSecret: 'unused' };
const adminToken = 'a token of at least thirty-two characters';
let redis: RedisServer;
let api: RecordingUpstream;

beforeAll(async () => {
  [redis, api] = await Promise.all([startRedis(), RecordingUpstream.start()]);
});
beforeEach(() => api.reset());
afterAll(async () => {
  await api.stop();
  await redis[Symbol.asyncDispose]();
});

/** One Postern with two workers, for a claim. */
function withWorkers(
  claim: (postern: PosternProcess, provider: RealProvider) => Promise<void>,
  config: ConfigInput = {},
): Promise<void> {
  const routes = [
    { path: '/api', upstream: api.url },
    { path: '/open', upstream: api.url, auth: 'none' },
  ];
  const options = { count: 1, config: { workers: 2, redis: { url: redis.url }, routes, ...config } };
  return withReplicas(options, (provider, [postern]) => claim(postern!, provider));
}

const lines = ({ output }: PosternProcess): Record<string, unknown>[] =>
  output.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>);
const said = (postern: PosternProcess, msg: string) => lines(postern).filter((line) => line['msg'] === msg);
/** Every worker there has been, oldest first. */
const pids = (postern: PosternProcess): number[] => said(postern, 'a worker listens').map(({ pid }) => Number(pid));
const isAlive = (pid: number): boolean =>
  existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

async function readiness(postern: PosternProcess): Promise<{ status: number; body: any }> {
  const response = await fetch(`${postern.operationsUrl}/readyz`);
  return { status: response.status, body: await response.json() };
}

/** A call on a connection of its own; its status, 0 when there was no answer in time. */
async function callOnce(postern: PosternProcess, path: string): Promise<number> {
  const headers = { host: new URL(postern.publicUrl).host, connection: 'close' };
  try {
    const answer = await request(`${postern.address}${path}`, {
      headers,
      reset: true,
      signal: AbortSignal.timeout(10_000),
    });
    await answer.body.dump();
    return answer.statusCode;
  } catch {
    return 0;
  }
}

test('1,000 calls on one expired token over two workers: one token call, no failure, and both have worked (SES-18, TK-04)', async () => {
  await withWorkers(async (postern, provider) => {
    const alice = await signIn(postern, provider);
    await expireToken(alice, redis, [postern]);
    provider.endpoints.behaviours.token.delayMs = 500;
    const answers = await Promise.all(Array.from({ length: 1000 }, () => alice.call('/api/x')));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(refreshesOf(provider)).toHaveLength(1);
    expect(await metricOf(postern, 'postern_token_refresh_total{outcome="refreshed"}')).toBe(1);
    const calls = () => said(postern, 'request').filter(({ path }) => path === '/api/x');
    await until(() => calls().length === answers.length);
    const each = [1, 2].map((worker) => calls().filter((line) => line['worker'] === worker).length);
    expect(Math.min(...each)).toBeGreaterThan(100);
  });
}, 180_000);

test('operators see one Postern: counts of all workers are added up, and a session that they end is ended in every worker', async () => {
  await withWorkers(
    async (postern, provider) => {
      const alice = await signIn(postern, provider);
      for (let call = 0; call < 20; call += 1) expect(await callOnce(postern, '/open')).toBe(200);
      const calls = () => said(postern, 'request').filter(({ path }) => path === '/open');
      await until(() => calls().length === 20);
      for (const number of [1, 2]) {
        expect(calls().filter(({ worker }) => worker === number).length).toBeGreaterThan(7);
      }
      const counted =
        'http_server_request_duration_seconds_count{http_request_method="GET",http_route="/open",http_response_status_code="200"}';
      await until(async () => (await metricOf(postern, counted)) === 20);
      await until(async () => (await readiness(postern)).body.status === 'ready');
      expect(await metricOf(postern, 'postern_degraded{part="workers"}')).toBe(0);
      expect(await readiness(postern)).toEqual({
        status: 200,
        body: { status: 'ready', parts: { store: 'up', provider: 'up', configuration: 'up', workers: 'up' } },
      });

      const callAll = () => Promise.all(Array.from({ length: 8 }, () => alice.call('/api/x')));
      expect(new Set((await callAll()).map(({ status }) => status))).toEqual(new Set([200]));
      const ended = await fetch(`${postern.operationsUrl}/admin/sessions?sub=alice`, {
        method: 'DELETE',
        headers: { authorization: `Bearer ${adminToken}` },
      });
      expect(ended.status).toBe(200);
      // The other worker hears of it by a message.
      await until(async () => (await callAll()).every(({ status }) => status === 401));
      expect(await metricOf(postern, 'postern_logouts_total{reason="admin"}')).toBe(1);
    },
    { operations: { listen: '127.0.0.1:0', admin: { token: adminToken } } },
  );
});

test('a worker that dies is replaced by one with the same configuration; the other serves meanwhile, it is said and counted, and no count falls', async () => {
  await withWorkers(async (postern) => {
    for (let call = 0; call < 20; call += 1) expect(await callOnce(postern, '/open')).toBe(200);
    const counted =
      'http_server_request_duration_seconds_count{http_request_method="GET",http_route="/open",http_response_status_code="200"}';
    await until(async () => (await metricOf(postern, counted)) === 20);
    const [first] = pids(postern);
    writeFileSync(postern.configFile, 'publicUrl: broken');
    process.kill(first!, 'SIGKILL');
    await until(() => said(postern, 'a worker has ended and is replaced').length === 1);
    expect(said(postern, 'a worker has ended and is replaced')[0]).toMatchObject({
      worker: 1,
      pid: first,
      signal: 'SIGKILL',
      level: 'error',
    });
    for (let call = 0; call < 4; call += 1) expect(await callOnce(postern, '/open')).toBe(200);
    await until(() => pids(postern).length === 3);
    await until(async () => (await readiness(postern)).body.parts.workers === 'up');
    expect(await metricOf(postern, 'postern_worker_replacements_total')).toBe(1);
    for (let call = 0; call < 4; call += 1) expect(await callOnce(postern, '/open')).toBe(200);
    await until(async () => (await metricOf(postern, counted)) === 28);
  });
});

test('workers that die again and again are started ever later', async () => {
  await withWorkers(async (postern) => {
    const deaths = () => said(postern, 'a worker has ended and is replaced').filter(({ worker }) => worker === 1);
    let pid = pids(postern)[0]!;
    for (let death = 1; death <= 3; death += 1) {
      process.kill(pid, 'SIGKILL');
      await until(() => deaths().length === death);
      await until(() => said(postern, 'a worker listens').filter(({ worker }) => worker === 1).length === death + 1);
      pid = Number(said(postern, 'a worker listens').findLast(({ worker }) => worker === 1)?.['pid']);
    }
    expect(deaths().map(({ pauseMs }) => pauseMs)).toEqual([200, 400, 800]);
  });
});

test('a worker that hangs holds up neither operators nor other connections', async () => {
  await withWorkers(async (postern) => {
    await until(async () => (await readiness(postern)).status === 200);
    const [first] = pids(postern);
    process.kill(first!, 'SIGSTOP');
    try {
      const watch = startStopwatch();
      expect(await readiness(postern)).toMatchObject({
        status: 200,
        body: { status: 'degraded', parts: { workers: 'down' } },
      });
      expect(watch.elapsedMs()).toBeLessThan(1_000);
      watch.stop();
      expect(await metricOf(postern, 'postern_degraded{part="workers"}')).toBe(1);
      const statuses = await Promise.all(Array.from({ length: 10 }, () => callOnce(postern, '/open')));
      // It has been handed one before it could say that it takes no more.
      expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(9);
    } finally {
      process.kill(first!, 'SIGCONT');
    }
    await until(async () => (await readiness(postern)).body.parts.workers === 'up');
  });
}, 180_000);

test.each(['SIGTERM to the first process', 'SIGTERM to all of them at once, as systemd does'])(
  '%s: calls under way are finished, nobody new is let in, and it ends with 0',
  async (how) => {
    await withWorkers(async (postern) => {
      const finishing: (() => void)[] = [];
      api.answer = (_request, response) => {
        response.writeHead(200).write('first half, ');
        finishing.push(() => void response.end('second half'));
      };
      const calls = Array.from({ length: 6 }, () => fetchText(postern, '/open/slow'));
      await until(() => finishing.length === calls.length);
      api.reset();
      postern.signal('SIGTERM');
      if (how.includes('all')) for (const pid of pids(postern)) process.kill(pid, 'SIGTERM');
      await until(async () => (await readiness(postern)).status === 503);
      await until(async () => (await callOnce(postern, '/open')) === 0);
      finishing.forEach((finish) => finish());
      expect(await Promise.all(calls)).toEqual(calls.map(() => 'first half, second half'));
      expect(await postern.exitCode).toBe(0);
      expect(pids(postern).filter(isAlive)).toEqual([]);
      expect(said(postern, 'a worker has ended and is replaced')).toEqual([]);
    });
  },
);

test('when the first process is killed, its workers finish what is under way, and end', async () => {
  await withWorkers(async (postern) => {
    let finish = (): void => undefined;
    api.answer = (_request, response) => {
      response.writeHead(200).write('first half, ');
      finish = () => void response.end('second half');
    };
    const seen = api.requests.length;
    const call = fetchText(postern, '/open/slow');
    await until(() => api.requests.length > seen);
    api.reset();
    postern.signal('SIGKILL');
    await postern.exitCode;
    // Time in which a worker that gives up would have done so.
    await pause(300);
    finish();
    expect(await call).toBe('first half, second half');
    await until(() => !pids(postern).some(isAlive));
  });
});

test.each(['listen', 'operations'] as const)(
  'a port of %s that is taken ends everything with 1 and one line',
  async (which) => {
    const occupant = createServer().listen(0, '127.0.0.1');
    await once(occupant, 'listening');
    const { port } = occupant.address() as AddressInfo;
    const taken =
      which === 'listen' ? { listen: `127.0.0.1:${port}` } : { operations: { listen: `127.0.0.1:${port}` } };
    const input = baseConfig(await freePort(), unused, { workers: 2, redis: { url: redis.url }, ...taken });
    const message = await startPosternProcess(input).then(
      () => 'started',
      (error: unknown) => String(error),
    );
    expect(message.match(/EADDRINUSE.*/g)).toEqual([expect.stringContaining(`127.0.0.1:${port}`)]);
    expect(message).not.toContain('    at ');
    occupant.close();
  },
);

test('every worker serves TLS, and takes a renewed certificate over', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'postern-tls-'));
  const [cert, key] = [join(directory, 'tls.crt'), join(directory, 'tls.key')];
  const write = (pair: { cert: string; key: string }): void => {
    writeFileSync(cert, pair.cert);
    writeFileSync(key, pair.key);
  };
  write(makeCertificate(['localhost']));
  const port = await freePort();
  const postern = await startPosternProcess({
    ...baseConfig(port, unused, {
      workers: 2,
      redis: { url: redis.url },
      tls: { cert: { file: cert }, key: { file: key } },
    }),
    publicUrl: `https://localhost:${port}`,
  });
  const shown = async (): Promise<string> => {
    const socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  // Connections go to the workers in turn.
  const shownByBoth = async (): Promise<Set<string>> =>
    new Set([await shown(), await shown(), await shown(), await shown()]);
  try {
    expect(postern.address).toBe(`https://127.0.0.1:${port}`);
    const before = await shownByBoth();
    expect(before.size).toBe(1);
    write(makeCertificate(['localhost']));
    await until(async () => (await metricOf(postern, 'postern_tls_certificate_reloads_total{outcome="taken"}')) === 2);
    const after = await shownByBoth();
    expect(after.size).toBe(1);
    expect(after).not.toEqual(before);
  } finally {
    await postern.stop();
    rmSync(directory, { recursive: true });
  }
});

async function fetchText(postern: PosternProcess, path: string): Promise<string> {
  const answer = await request(`${postern.address}${path}`, { headers: { host: new URL(postern.publicUrl).host } });
  return answer.body.text();
}
