// The promise of one refresh, on one and on two processes, against a provider that rotates and ends the grant when a spent token comes back.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freePort } from '../support/free-port.ts';
import { baseConfig, register, startPosternProcess } from '../support/postern.ts';
import type { PosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import { until } from '../support/until.ts';

let redis: RedisServer;
let api: Server;
let apiUrl: string;

beforeAll(async () => {
  redis = await startRedis();
  api = createServer((request, response) => response.end(request.headers.authorization)).listen(0, '127.0.0.1');
  await once(api, 'listening');
  apiUrl = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
});
afterAll(async () => {
  api.closeAllConnections();
  api.close();
  await redis[Symbol.asyncDispose]();
});

const calls = 1000;

test.concurrent.each([
  { processes: 1, delayMs: 50, lifetimeSeconds: 4 },
  { processes: 2, delayMs: 50, lifetimeSeconds: 4 },
  { processes: 1, delayMs: 12_000, lifetimeSeconds: 16 },
  { processes: 2, delayMs: 12_000, lifetimeSeconds: 16 },
])(
  '1,000 calls on one expired token, $processes process(es), token endpoint $delayMs ms: one token call, no failure, alive at the second expiry (TK-04, TK-12, SES-18)',
  async ({ processes, delayMs, lifetimeSeconds }) => {
    const provider = await startRealProvider({ accessTokenTtlSeconds: lifetimeSeconds, rotate: true });
    const port = await freePort();
    const config = baseConfig(port, provider, {
      redis: { url: redis.url },
      routes: [{ path: '/api', upstream: apiUrl }],
      log: { level: 'info', format: 'json', access: false },
    });
    register(provider, String(config['publicUrl']));
    const replicas: PosternProcess[] = [];
    for (let index = 0; index < processes; index += 1) {
      replicas.push(await startPosternProcess({ ...config, listen: index === 0 ? config['listen'] : '127.0.0.1:0' }));
    }
    try {
      const alice = await signIn(replicas[0]!, provider);
      const refreshes = () => provider.endpoints.seen('token', 'refresh_token').length;

      await alice.untilExpired();
      provider.endpoints.behaviours.token.delayMs = delayMs;
      const hangUp = new AbortController();
      const impatient = alice.call('/api/x', { on: replicas.at(-1)!, signal: hangUp.signal });
      await until(() => refreshes() === 1);
      const storm = Array.from({ length: calls }, (_, index) =>
        alice.call('/api/x', { on: replicas[index % processes]! }),
      );
      hangUp.abort();
      await expect(impatient).rejects.toThrow();
      const answers = await Promise.all(storm);
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
      expect(refreshes()).toBe(1);

      provider.endpoints.behaviours.token.delayMs = 50;
      await alice.untilExpired();
      const second = await Promise.all(replicas.map((on) => alice.call('/api/x', { on })));
      expect(second.map(({ status }) => status)).toEqual(replicas.map(() => 200));
      expect(refreshes()).toBe(2);
    } finally {
      await Promise.all(replicas.map((replica) => replica.stop()));
      await provider.close();
    }
  },
  120_000,
);
