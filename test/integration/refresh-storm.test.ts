// The promise of one refresh, on one process and on three replicas, against a provider that rotates and ends the grant when a spent token comes back.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { describeOn } from '../support/describe-on.ts';
import { refreshesOf, withReplicas } from '../support/replicas.ts';
import { launchRedis, redisProgram, valkeyProgram } from '../support/redis.ts';
import type { RedisServer, ServerProgram } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import { expireToken } from '../support/token-age.ts';
import { until } from '../support/until.ts';
import { answerWithToken, RecordingUpstream } from '../support/upstream.ts';

let api: RecordingUpstream;

beforeAll(async () => {
  api = await RecordingUpstream.start();
  api.answer = answerWithToken;
});
afterAll(() => api.stop());

const calls = 1000;

interface Storm {
  count: number;
  delayMs: number;
}

describe('on Redis', () => {
  storms(redisProgram, [
    { count: 1, delayMs: 50 },
    { count: 3, delayMs: 50 },
    { count: 3, delayMs: 3_000 },
    // Callers wait for 15 s.
    { count: 3, delayMs: 10_000 },
  ]);
});

describeOn('on Valkey', valkeyProgram.absence, () => storms(valkeyProgram, [{ count: 3, delayMs: 50 }]));

function storms({ path: program }: ServerProgram, each: Storm[]): void {
  let server: RedisServer;
  beforeAll(async () => {
    server = await launchRedis({ program });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test.each(each)(
    '1,000 calls on one expired token, $count process(es), token endpoint $delayMs ms: one token call, no failure, alive at the second expiry (TK-04, TK-12, SES-18)',
    (storm) => survive(server, storm),
    120_000,
  );
}

function survive(server: RedisServer, { count, delayMs }: Storm): Promise<void> {
  const config = {
    redis: { url: server.url },
    routes: [{ path: '/api', upstream: api.url }],
    log: { level: 'info', format: 'json', access: false },
  };
  const options = { count, config, provider: { rotate: true } };
  return withReplicas(options, async (provider, replicas) => {
    const alice = await signIn(replicas[0]!, provider);

    await expireToken(alice, server, replicas);
    provider.endpoints.behaviours.token.delayMs = delayMs;
    const release = provider.endpoints.behaviours.token.hold();
    const hangUp = new AbortController();
    const impatient = alice.call('/api/x', { on: replicas.at(-1)!, signal: hangUp.signal });
    await until(() => refreshesOf(provider).length === 1);
    const storm = Array.from({ length: calls }, (_, index) => alice.call('/api/x', { on: replicas[index % count]! }));
    hangUp.abort();
    await expect(impatient).rejects.toThrow();
    release();
    const answers = await Promise.all(storm);
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
    expect(refreshesOf(provider)).toHaveLength(1);

    provider.endpoints.behaviours.token.delayMs = 50;
    await expireToken(alice, server, replicas);
    const second = await Promise.all(replicas.map((on) => alice.call('/api/x', { on })));
    expect(second.map(({ status }) => status)).toEqual(replicas.map(() => 200));
    expect(refreshesOf(provider)).toHaveLength(2);
  });
}
