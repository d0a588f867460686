// Several workers behind one listener, as `postern serve` runs them: real processes, a real Redis, a real provider.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { baseConfig, startPosternProcess } from '../support/postern.ts';
import { startRedis } from '../support/redis.ts';
import { saidIn } from '../support/reloadable.ts';
import { metricOf, refreshesOf } from '../support/replicas.ts';
import { signIn } from '../support/signed-in.ts';
import { expireToken } from '../support/token-age.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';
import { callOnce, readiness, withWorkers } from '../support/workers.ts';
import type { Workplace } from '../support/workers.ts';

const unused = { issuer: 'http://localhost:9', clientId: 'shop', clientSecret: 'unused' };
const adminToken = 'a token of at least thirty-two characters';
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

test('1,000 calls on one expired token over two workers: one token call, no failure, and both have worked (SES-18, TK-04)', async () => {
  await withWorkers(place, async (postern, provider) => {
    const alice = await signIn(postern, provider);
    await expireToken(alice, place.redis, [postern]);
    provider.endpoints.behaviours.token.delayMs = 500;
    const answers = await Promise.all(Array.from({ length: 1000 }, () => alice.call('/api/x')));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(refreshesOf(provider)).toHaveLength(1);
    expect(await metricOf(postern, 'postern_token_refresh_total{outcome="refreshed"}')).toBe(1);
    const calls = () => saidIn(postern, 'request').filter(({ path }) => path === '/api/x');
    await until(() => calls().length === answers.length);
    const each = [1, 2].map((worker) => calls().filter((line) => line['worker'] === worker).length);
    expect(Math.min(...each)).toBeGreaterThan(100);
  });
}, 180_000);

test('operators see one Postern: counts of all workers are added up, and a session that they end is ended in every worker', async () => {
  await withWorkers(
    place,
    async (postern, provider) => {
      const alice = await signIn(postern, provider);
      for (let call = 0; call < 20; call += 1) expect(await callOnce(postern, '/open')).toBe(200);
      const calls = () => saidIn(postern, 'request').filter(({ path }) => path === '/open');
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
      redis: { url: place.redis.url },
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
