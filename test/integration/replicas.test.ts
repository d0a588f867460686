// Several processes on one Redis: what one does, all know; what one takes with it when it dies, nobody misses.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { freePort } from '../support/free-port.ts';
import { baseConfig, register, startPosternProcess } from '../support/postern.ts';
import type { PosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { metricOf, refreshesOf, withReplicas } from '../support/replicas.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import { expireToken, outlastAttempt } from '../support/token-age.ts';
import { until } from '../support/until.ts';
import { answerWithToken, RecordingUpstream } from '../support/upstream.ts';

let redis: RedisServer;
let api: RecordingUpstream;

beforeAll(async () => {
  redis = await startRedis();
  api = await RecordingUpstream.start();
});
afterAll(async () => {
  await api.stop();
  await redis[Symbol.asyncDispose]();
});

const options = (count: number) => {
  api.answer = answerWithToken;
  return { count, config: { redis: { url: redis.url }, routes: [{ path: '/api', upstream: api.url }] } };
};

test('100 calls over three replicas on one expired token: one token call, no failure, the session lives (SES-18, TK-04, TK-06)', async () => {
  await withReplicas(options(3), async (provider, replicas) => {
    const alice = await signIn(replicas[0]!, provider);
    await expireToken(alice, redis, replicas);
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => alice.call('/api/x', { on: replicas[index % 3]! })),
    );
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
    expect(refreshesOf(provider)).toHaveLength(1);
  });
});

test('a replica killed between the refresh and the call it was for takes no token with it: the others use the new one, and spend the new refresh token next (SES-19)', async () => {
  await withReplicas(options(3), async (provider, replicas) => {
    const [first, second, third] = replicas as [PosternProcess, PosternProcess, PosternProcess];
    const alice = await signIn(first, provider);
    await expireToken(alice, redis, replicas);
    // The call reaches the API with the new token, so the refresh is over; its replica dies before it hears the answer.
    api.answer = () => first.signal('SIGKILL');
    await expect(alice.call('/api/x', { on: first })).rejects.toThrow();
    api.answer = answerWithToken;
    for (const on of [second, third]) expect((await alice.call('/api/x', { on })).status).toBe(200);
    expect(refreshesOf(provider)).toHaveLength(1);
    await expireToken(alice, redis, [second, third]);
    for (const on of [second, third]) expect((await alice.call('/api/x', { on })).status).toBe(200);
    expect(refreshesOf(provider)).toHaveLength(2);
    const [spent, next] = refreshesOf(provider).map(({ parameters }) => parameters.get('refresh_token'));
    expect(next).not.toBe(spent);
  });
});

test('a replica killed during the refresh is taken over once its attempt has run out, and the user stays signed in (TK-05)', async () => {
  await withReplicas(options(2), async (provider, replicas) => {
    const [first, second] = replicas as [PosternProcess, PosternProcess];
    const alice = await signIn(first, provider);
    await expireToken(alice, redis, replicas);
    // The provider does not look at the request: nothing is rotated when the replica dies.
    provider.endpoints.behaviours.token.fail('hang', 1);
    const lost = alice.call('/api/x', { on: first });
    lost.catch(() => undefined);
    await until(() => refreshesOf(provider).length === 1);
    first.signal('SIGKILL');
    await expect(lost).rejects.toThrow();
    await outlastAttempt(alice, redis);
    expect((await alice.call('/api/x', { on: second })).status).toBe(200);
    expect(refreshesOf(provider)).toHaveLength(2);
    expect(await metricOf(second, 'postern_token_refresh_takeovers_total')).toBe(1);
  });
}, 180_000);

test('a replica that cannot write its answer in time is taken over; when the provider refuses the spent token, its late commit is waited for and used', async () => {
  const link = await startFaultProxy(redis);
  api.answer = answerWithToken;
  const provider = await startRealProvider();
  const config = baseConfig(await freePort(), provider, { routes: [{ path: '/api', upstream: api.url }] });
  register(provider, String(config['publicUrl']));
  const first = await startPosternProcess({ ...config, redis: { url: `redis://127.0.0.1:${link.port}` } });
  const second = await startPosternProcess({ ...config, redis: { url: redis.url }, listen: '127.0.0.1:0' });
  try {
    const alice = await signIn(second, provider);
    await expireToken(alice, redis, [first, second]);
    const release = provider.endpoints.behaviours.token.hold();
    const cutOff = alice.call('/api/x', { on: first });
    await until(() => refreshesOf(provider).length === 1);
    link.cut();
    release();
    expect((await cutOff).status).toBe(503);
    // The attempt runs out, the second takes over, and the provider refuses the token that the first has spent.
    await outlastAttempt(alice, redis);
    const late = alice.call('/api/x', { on: second });
    await until(() => refreshesOf(provider).length === 2);
    link.heal();
    expect((await late).status).toBe(200);
    expect(refreshesOf(provider)).toHaveLength(2);
  } finally {
    await Promise.all([first.stop(), second.stop()]);
    await provider.close();
    await link.close();
  }
}, 180_000);

test('a logout on one replica is refused on the others at once (SES-08)', async () => {
  await withReplicas(options(3), async (provider, replicas) => {
    const alice = await signIn(replicas[0]!, provider);
    expect((await alice.call('/api/x', { on: replicas[2]! })).status).toBe(200);
    expect((await alice.call('/bff/logout', { method: 'POST', on: replicas[1]! })).status).toBe(200);
    for (const on of replicas) expect((await alice.call('/api/x', { on })).status).toBe(401);
  });
});
