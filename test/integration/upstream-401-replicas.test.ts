// An API refuses a token that three replicas hold: they ask the provider for another one once between them, and the minute until the next counts for all.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { refreshesOf, withReplicas } from '../support/replicas.ts';
import { signIn } from '../support/signed-in.ts';
import { ageTokens } from '../support/token-age.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let redis: RedisServer;
let upstream: RecordingUpstream;

beforeAll(async () => {
  [redis, upstream] = await Promise.all([startRedis(), RecordingUpstream.start()]);
});
afterAll(async () => {
  await upstream.stop();
  await redis[Symbol.asyncDispose]();
});

test('300 calls over three replicas whose token the API refuses: one refresh, and an answer for each (TK-11)', async () => {
  const config = { redis: { url: redis.url }, routes: [{ path: '/api', upstream: upstream.url }] };
  await withReplicas({ count: 3, config }, async (provider, replicas) => {
    const alice = await signIn(replicas[0]!, provider);
    await ageTokens(alice, redis, 60_000);

    let revoked: string | undefined;
    upstream.answer = ({ headers }, response) => {
      revoked ??= headers.authorization;
      response.writeHead(headers.authorization === revoked ? 401 : 200).end();
    };
    const calls = () => Array.from({ length: 300 }, (_, nth) => alice.call('/api', { on: replicas[nth % 3]! }));
    expect(new Set((await Promise.all(calls())).map(({ status }) => status))).toEqual(new Set([200]));
    expect(refreshesOf(provider)).toHaveLength(1);

    upstream.answer = (_, response) => void response.writeHead(401).end();
    expect(new Set((await Promise.all(calls())).map(({ status }) => status))).toEqual(new Set([401]));
    expect(refreshesOf(provider)).toHaveLength(1);
  });
});
