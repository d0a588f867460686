// How workers end: one of them by accident, all of them on purpose, and before they have begun.
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { request } from 'undici';
import { freePort } from '../support/free-port.ts';
import { baseConfig, startPosternProcess } from '../support/postern.ts';
import type { PosternProcess } from '../support/postern.ts';
import { startRedis } from '../support/redis.ts';
import { saidIn } from '../support/reloadable.ts';
import { metricOf } from '../support/replicas.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';
import { callOnce, readiness, replacementsIn, withWorkers, workersOf } from '../support/workers.ts';
import type { Workplace } from '../support/workers.ts';

const unused = { issuer: 'http://localhost:9', clientId: 'shop', clientSecret: 'unused' };
let place: Workplace;

beforeAll(async () => {
  const [redis, api] = await Promise.all([startRedis(), RecordingUpstream.start()]);
  place = { redis, api };
});
beforeEach(() => place.api.reset());
afterAll(async () => {
  await place.api.stop();
  await place.redis[Symbol.asyncDispose]();
});

const isAlive = (pid: number): boolean =>
  existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

test('a worker that dies is replaced by one with the same configuration; the other serves meanwhile, it is said and counted, and no count falls', async () => {
  await withWorkers(place, async (postern) => {
    for (let call = 0; call < 20; call += 1) expect(await callOnce(postern, '/open')).toBe(200);
    const counted =
      'http_server_request_duration_seconds_count{http_request_method="GET",http_route="/open",http_response_status_code="200"}';
    await until(async () => (await metricOf(postern, counted)) === 20);
    const [first] = workersOf(postern);
    writeFileSync(postern.configFile, 'publicUrl: broken');
    process.kill(first!, 'SIGKILL');
    await until(() => replacementsIn(postern).length === 1);
    expect(replacementsIn(postern)[0]).toMatchObject({
      worker: 1,
      pid: first,
      signal: 'SIGKILL',
      level: 'error',
    });
    for (let call = 0; call < 4; call += 1) expect(await callOnce(postern, '/open')).toBe(200);
    await until(() => workersOf(postern).length === 3);
    await until(async () => (await readiness(postern)).body.parts.workers === 'up');
    expect(await metricOf(postern, 'postern_worker_replacements_total')).toBe(1);
    for (let call = 0; call < 4; call += 1) expect(await callOnce(postern, '/open')).toBe(200);
    await until(async () => (await metricOf(postern, counted)) === 28);
  });
});

test('workers that die again and again are started ever later', async () => {
  await withWorkers(place, async (postern) => {
    const deaths = () => replacementsIn(postern).filter(({ worker }) => worker === 1);
    let pid = workersOf(postern)[0]!;
    for (let death = 1; death <= 3; death += 1) {
      process.kill(pid, 'SIGKILL');
      await until(() => deaths().length === death);
      await until(() => saidIn(postern, 'a worker listens').filter(({ worker }) => worker === 1).length === death + 1);
      pid = Number(saidIn(postern, 'a worker listens').findLast(({ worker }) => worker === 1)?.['pid']);
    }
    expect(deaths().map(({ pauseMs }) => pauseMs)).toEqual([200, 400, 800]);
  });
});

test('a worker that hangs holds up neither operators nor other connections', async () => {
  await withWorkers(place, async (postern) => {
    await until(async () => (await readiness(postern)).status === 200);
    const [first] = workersOf(postern);
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
    await withWorkers(place, async (postern) => {
      const finishing: (() => void)[] = [];
      place.api.answer = (_request, response) => {
        response.writeHead(200).write('first half, ');
        finishing.push(() => void response.end('second half'));
      };
      const calls = Array.from({ length: 6 }, () => fetchText(postern, '/open/slow'));
      await until(() => finishing.length === calls.length);
      place.api.reset();
      postern.signal('SIGTERM');
      if (how.includes('all')) for (const pid of workersOf(postern)) process.kill(pid, 'SIGTERM');
      await until(async () => (await readiness(postern)).status === 503);
      await until(async () => (await callOnce(postern, '/open')) === 0);
      finishing.forEach((finish) => finish());
      expect(await Promise.all(calls)).toEqual(calls.map(() => 'first half, second half'));
      expect(await postern.exitCode).toBe(0);
      expect(workersOf(postern).filter(isAlive)).toEqual([]);
      expect(replacementsIn(postern)).toEqual([]);
    });
  },
);

test('when the first process is killed, its workers finish what is under way, and end', async () => {
  await withWorkers(place, async (postern) => {
    let finish = (): void => undefined;
    place.api.answer = (_request, response) => {
      response.writeHead(200).write('first half, ');
      finish = () => void response.end('second half');
    };
    const seen = place.api.requests.length;
    const call = fetchText(postern, '/open/slow');
    await until(() => place.api.requests.length > seen);
    place.api.reset();
    postern.signal('SIGKILL');
    await postern.exitCode;
    // Time in which a worker that gives up would have done so.
    await pause(300);
    finish();
    expect(await call).toBe('first half, second half');
    await until(() => !workersOf(postern).some(isAlive));
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
    const input = baseConfig(await freePort(), unused, { workers: 2, redis: { url: place.redis.url }, ...taken });
    const message = await startPosternProcess(input).then(
      () => 'started',
      (error: unknown) => String(error),
    );
    expect(message.match(/EADDRINUSE.*/g)).toEqual([expect.stringContaining(`127.0.0.1:${port}`)]);
    expect(message).not.toContain('    at ');
    occupant.close();
  },
);

async function fetchText(postern: PosternProcess, path: string): Promise<string> {
  const answer = await request(`${postern.address}${path}`, { headers: { host: new URL(postern.publicUrl).host } });
  return answer.body.text();
}
