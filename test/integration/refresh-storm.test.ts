// The promise of one refresh, on one process and on three replicas, against a provider that rotates and ends the grant when a spent token comes back.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { refreshesOf, withReplicas } from '../support/replicas.ts';
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

// Lifetimes differ so that the storms do not come at the same time, and are longer than a storm.
test.concurrent.each([
  { count: 1, delayMs: 50, lifetimeSeconds: 6 },
  { count: 3, delayMs: 50, lifetimeSeconds: 9 },
  { count: 3, delayMs: 3_000, lifetimeSeconds: 12 },
  { count: 3, delayMs: 12_000, lifetimeSeconds: 16 },
])(
  '1,000 calls on one expired token, $count process(es), token endpoint $delayMs ms: one token call, no failure, alive at the second expiry (TK-04, TK-12, SES-18)',
  ({ count, delayMs, lifetimeSeconds }) => {
    const config = {
      redis: { url: redis.url },
      routes: [{ path: '/api', upstream: apiUrl }],
      log: { level: 'info', format: 'json', access: false },
    };
    const options = { count, config, provider: { accessTokenTtlSeconds: lifetimeSeconds, rotate: true } };
    return withReplicas(options, async (provider, replicas) => {
      const alice = await signIn(replicas[0]!, provider);

      await alice.untilExpired();
      provider.endpoints.behaviours.token.delayMs = delayMs;
      const hangUp = new AbortController();
      const impatient = alice.call('/api/x', { on: replicas.at(-1)!, signal: hangUp.signal });
      await until(() => refreshesOf(provider).length === 1);
      const storm = Array.from({ length: calls }, (_, index) => alice.call('/api/x', { on: replicas[index % count]! }));
      hangUp.abort();
      await expect(impatient).rejects.toThrow();
      const answers = await Promise.all(storm);
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
      expect(refreshesOf(provider)).toHaveLength(1);

      provider.endpoints.behaviours.token.delayMs = 50;
      await alice.untilExpired();
      const second = await Promise.all(replicas.map((on) => alice.call('/api/x', { on })));
      expect(second.map(({ status }) => status)).toEqual(replicas.map(() => 200));
      expect(refreshesOf(provider)).toHaveLength(2);
    });
  },
  120_000,
);
