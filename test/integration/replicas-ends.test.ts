// Three processes on one Redis: however a refresh, a slow call or the death of a process lies across the end of a session, the session has ended.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { ServerResponse } from 'node:http';
import { refreshesOf, withReplicas } from '../support/replicas.ts';
import type { PosternProcess } from '../support/postern.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import { expireToken } from '../support/token-age.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

type Three = [PosternProcess, PosternProcess, PosternProcess];

let redis: RedisServer;
let api: RecordingUpstream;
beforeAll(async () => {
  [redis, api] = await Promise.all([startRedis(), RecordingUpstream.start()]);
});
beforeEach(async () => {
  api.reset();
  api.requests.length = 0;
  await redis.command('FLUSHALL');
});
afterAll(async () => {
  await api.stop();
  await redis[Symbol.asyncDispose]();
});

const options = () => ({
  count: 3,
  config: {
    redis: { url: redis.url },
    routes: [{ path: '/api', upstream: api.url }],
  },
});
const records = (): Promise<unknown> => redis.command('KEYS', 'postern:{*');

test('a refresh on one replica that ends after a logout on another brings nothing back on any, and what it got is revoked (SES-20, S-05)', async () => {
  await withReplicas(options(), async (provider, replicas) => {
    const [refreshing, leaving] = replicas as Three;
    const alice = await signIn(refreshing, provider);
    await expireToken(alice, redis, replicas);
    const { token, revocation } = provider.endpoints.behaviours;
    const answerRefresh = token.hold();
    // The logout's own revocation would end the grant before the refresh gets anything.
    revocation.hold();
    const calls = Array.from({ length: 50 }, (_, index) => alice.call('/api/x', { on: replicas[index % 3]! }));
    await until(() => refreshesOf(provider).length === 1);
    expect((await alice.call('/bff/logout', { method: 'POST', on: leaving })).status).toBe(200);
    answerRefresh();

    const answers = await Promise.all(calls);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    expect(answers.filter(({ headers }) => headers['set-cookie'] !== undefined)).toEqual([]);
    const revoked = () =>
      new Set(provider.endpoints.seen('revocation').map(({ parameters }) => parameters.get('token')));
    await until(() => revoked().size === 2);
    revocation.recover();
    expect(await records()).toEqual([]);
    for (const on of replicas) expect((await alice.call('/api/x', { on })).status).toBe(401);
    expect(await records()).toEqual([]);
    expect(refreshesOf(provider)).toHaveLength(1);
    expect(api.requests).toEqual([]);
  });
}, 180_000);

test('fifty calls that the API answers only after the logout write no session back and set no cookie (S-05)', async () => {
  await withReplicas(options(), async (provider, replicas) => {
    const [first, leaving] = replicas as Three;
    const alice = await signIn(first, provider);
    const waiting: ServerResponse[] = [];
    api.answer = (_request, response) => void waiting.push(response);
    const calls = Array.from({ length: 50 }, (_, index) => alice.call('/api/x', { on: replicas[index % 3]! }));
    await until(() => waiting.length === calls.length);
    expect((await alice.call('/bff/logout', { method: 'POST', on: leaving })).status).toBe(200);
    for (const response of waiting) response.end('late');

    const answers = await Promise.all(calls);
    expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).toEqual(new Set(['200 late']));
    expect(answers.filter(({ headers }) => headers['set-cookie'] !== undefined)).toEqual([]);
    for (const on of replicas) expect((await alice.call('/api/x', { on })).status).toBe(401);
    expect(await records()).toEqual([]);
  });
}, 180_000);

test('a replica that is killed under load takes nobody else’s calls with it: the others answer every one (ST-20)', async () => {
  await withReplicas(options(), async (provider, replicas) => {
    const [dying, ...staying] = replicas as Three;
    const people = await Promise.all(['alice', 'bob'].map((user) => signIn(dying, provider, user)));
    let isDead = false;
    const answers: number[] = [];
    const load = people.flatMap((person) =>
      staying.map(async (on) => {
        while (!isDead || answers.length < 200) answers.push((await person.call('/api/x', { on })).status);
        for (let more = 0; more < 50; more += 1) answers.push((await person.call('/api/x', { on })).status);
      }),
    );
    const ofTheDying = Array.from({ length: 20 }, () => people[0]!.call('/api/x', { on: dying }));
    dying.signal('SIGKILL');
    await Promise.allSettled(ofTheDying);
    isDead = true;
    await Promise.all(load);
    expect(new Set(answers)).toEqual(new Set([200]));
  });
}, 180_000);
