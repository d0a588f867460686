// The replica that refreshes dies or stands still in the middle of it. What the others do depends on one thing that none of them can see: whether the provider has rotated.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PosternProcess } from '../support/postern.ts';
import type { RealProvider, RealProviderOptions } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { metricOf, refreshesOf, withReplicas } from '../support/replicas.ts';
import { signIn } from '../support/signed-in.ts';
import type { Answer, SignedIn } from '../support/signed-in.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { expireToken, outlastAttempt } from '../support/token-age.ts';
import { until } from '../support/until.ts';
import { answerWithToken, RecordingUpstream } from '../support/upstream.ts';

let api: RecordingUpstream;
beforeAll(async () => {
  api = await RecordingUpstream.start();
  api.answer = answerWithToken;
});
afterAll(() => api.stop());

const attemptDeadlineMs = 25_000;
/** The waiters look once a second. */
const takeoverMs = attemptDeadlineMs + 2_000;

interface Scene {
  alice: SignedIn;
  provider: RealProvider;
  /** In the middle of the refresh of alice's expired token. */
  refreshing: PosternProcess;
  /** What it was asked for by the call that began the refresh. */
  begun: Promise<Answer | Error>;
  others: PosternProcess[];
  redis: RedisServer;
  /** Everything that the store knows of her tokens. */
  record: () => Promise<unknown>;
}

/** `meanwhile` makes the provider do what it does with the first refresh; it does the others right. */
async function inTheMiddle(
  { replicas: count, provider: options }: { replicas: number; provider?: RealProviderOptions },
  meanwhile: (provider: RealProvider) => void,
  claim: (scene: Scene) => Promise<void>,
): Promise<void> {
  await using redis = await startRedis();
  const config = {
    redis: { url: redis.url },
    routes: [{ path: '/api', upstream: api.url }],
    log: { level: 'info', format: 'json', access: false },
  };
  await withReplicas({ count, config, ...(options && { provider: options }) }, async (provider, replicas) => {
    const [refreshing, ...others] = replicas as [PosternProcess, ...PosternProcess[]];
    const alice = await signIn(refreshing, provider);
    await expireToken(alice, redis, replicas);
    meanwhile(provider);
    const begun = alice.call('/api/x', { on: refreshing }).catch((error: unknown) => error as Error);
    await until(() => refreshesOf(provider).length === 1);
    const record = async () => {
      const [key] = (await redis.command('KEYS', 'postern:*:tokens')) as string[];
      return key && redis.command('HGETALL', key);
    };
    await claim({ alice, provider, refreshing, begun, others, redis, record });
  });
}

const looksAway = (provider: RealProvider): void => provider.endpoints.behaviours.token.fail('hang', 1);
const answersLate = (provider: RealProvider): void => void provider.endpoints.behaviours.token.hold();
/** Stops the one that refreshes; the provider's answer is there when it goes on. */
function stopBeforeAnswer({ provider, refreshing }: Scene): void {
  refreshing.signal('SIGSTOP');
  provider.endpoints.behaviours.token.recover();
}

/** A caller who asks again for as long as the answer is "later". */
async function patientCall({ alice }: Scene, on: PosternProcess): Promise<Answer> {
  for (;;) {
    const answer = await alice.call('/api/x', { on });
    expect(answer.headers['set-cookie']).toBeUndefined();
    if (answer.status !== 503) return answer;
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  }
}

const shareOfStorm = 333;
/** For a thousand answers on a busy machine. */
const servingMs = 15_000;
const storm = (scene: Scene, on: PosternProcess) => Array.from({ length: shareOfStorm }, () => patientCall(scene, on));

async function lasting(since: number, ms: number): Promise<void> {
  await until(() => performance.now() >= since + ms, ms + 1_000);
}

const takeoversBy = async (replicas: PosternProcess[]): Promise<number> => {
  const counts = await Promise.all(replicas.map((on) => metricOf(on, 'postern_token_refresh_takeovers_total')));
  return counts.reduce((sum, count) => sum + count, 0);
};

/** How often each refresh token was sent, in the order of their first use. */
function spending(provider: RealProvider): number[] {
  const times = new Map<string, number>();
  for (const { parameters } of refreshesOf(provider)) {
    const token = parameters.get('refresh_token')!;
    times.set(token, (times.get(token) ?? 0) + 1);
  }
  return [...times.values()];
}

async function expectAliveAtNextExpiry(scene: Scene, replicas: PosternProcess[]): Promise<void> {
  const { alice, provider, redis } = scene;
  const before = refreshesOf(provider).length;
  await expireToken(alice, redis, replicas);
  const answers = await Promise.all(replicas.map((on) => patientCall(scene, on)));
  expect(answers.map(({ status }) => status)).toEqual(replicas.map(() => 200));
  expect(refreshesOf(provider)).toHaveLength(before + 1);
}

test.concurrent.each([
  { fate: 'killed (kill -9)', signal: 'SIGKILL' as const },
  { fate: 'stopped for 40 s (SIGSTOP)', signal: 'SIGSTOP' as const },
])(
  '1,000 calls over three replicas while the one that refreshes is $fate: one takeover, everybody served when the attempt runs out, nobody logged out (TK-05, TK-06, SES-18)',
  ({ signal }) =>
    inTheMiddle({ replicas: 3 }, looksAway, async (scene) => {
      const { provider, refreshing, others } = scene;
      const onLost = storm(scene, refreshing).map((call) => call.catch((error: unknown) => error as Error));
      const onOthers = others.flatMap((on) => storm(scene, on));
      const since = performance.now();
      const watch = startStopwatch();
      refreshing.signal(signal);
      const takenOverAfter = until(() => refreshesOf(provider).length === 2, 60_000).then(() => watch.elapsedMs());
      const answers = await Promise.all(onOthers);
      expect(await takenOverAfter).toBeLessThan(takeoverMs);
      expect(watch.elapsedMs()).toBeLessThan(takeoverMs + servingMs);
      watch.stop();
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
      expect(spending(provider)).toEqual([2]);
      expect(await takeoversBy(others)).toBe(1);

      const alive = signal === 'SIGKILL' ? others : [refreshing, ...others];
      if (signal === 'SIGSTOP') {
        await lasting(since, 40_000);
        refreshing.signal('SIGCONT');
        // Requests that it had not read within the time for a head are refused; what it had read, it serves.
        const late = (await Promise.all(onLost)).map((answer) => (answer instanceof Error ? answer : answer.status));
        expect(late.filter((status) => status !== 200 && status !== 400)).toEqual([]);
      }
      await expectAliveAtNextExpiry(scene, alive);
      expect(new Set(spending(provider).slice(1))).toEqual(new Set([1]));
      expect(await takeoversBy(alive)).toBe(1);
    }),
  240_000,
);

test.concurrent(
  'a replica that stood still for 40 s writes nothing over the tokens of the one that took over (TK-05, SES-19)',
  () =>
    inTheMiddle({ replicas: 2, provider: { rotate: false } }, answersLate, async (scene) => {
      const { refreshing, begun, others, record } = scene;
      const since = performance.now();
      stopBeforeAnswer(scene);
      expect((await patientCall(scene, others[0]!)).status).toBe(200);
      expect(await takeoversBy(others)).toBe(1);
      const taken = await record();
      await lasting(since, 40_000);
      refreshing.signal('SIGCONT');
      // It finds its own answer, which has been waiting for it, and that it is of no use any more.
      await until(async () => (await metricOf(refreshing, 'postern_token_refresh_total{outcome="superseded"}')) === 1);
      expect(await record()).toEqual(taken);
      expect(await begun).toMatchObject({ status: 503 });
      await expectAliveAtNextExpiry(scene, [refreshing, ...others]);
    }),
  240_000,
);

test.concurrent(
  'a replica that stood still for longer than a token call may take, but not until its attempt ran out, finds the answer that came meanwhile: nothing is lost, nobody takes over (SES-19, TK-08)',
  () =>
    inTheMiddle({ replicas: 2 }, answersLate, async (scene) => {
      const { alice, provider, redis, refreshing, others } = scene;
      // However slow this machine is: what is told of here takes 22 of the 25 seconds.
      await outlastAttempt(alice, redis, -60_000);
      const since = performance.now();
      stopBeforeAnswer(scene);
      const waiting = patientCall(scene, others[0]!);
      await lasting(since, 22_000);
      refreshing.signal('SIGCONT');
      expect((await waiting).status).toBe(200);
      expect(await metricOf(refreshing, 'postern_token_refresh_total{outcome="refreshed"}')).toBeGreaterThan(0);
      await expectAliveAtNextExpiry(scene, [refreshing, ...others]);
      expect(new Set(spending(provider))).toEqual(new Set([1]));
      expect(await takeoversBy([refreshing, ...others])).toBe(0);
    }),
  240_000,
);

test.concurrent(
  'a replica that stood still for 40 s after the provider had rotated costs this one session: 401 with the cookie kept, and its late tokens bring nothing back (TK-08, SES-20)',
  () =>
    inTheMiddle({ replicas: 2 }, answersLate, async (scene) => {
      const { alice, provider, refreshing, others, record } = scene;
      const since = performance.now();
      stopBeforeAnswer(scene);
      const refused = await patientCall(scene, others[0]!);
      expect([refused.status, JSON.parse(refused.body)]).toMatchObject([401, { code: 'session_expired' }]);
      expect(spending(provider)).toEqual([2]);
      await lasting(since, 40_000);
      refreshing.signal('SIGCONT');
      await until(async () => (await metricOf(refreshing, 'postern_token_refresh_total{outcome="signed-out"}')) === 1);
      for (const on of [refreshing, ...others]) expect((await alice.call('/api/x', { on })).status).toBe(401);
      expect(await record()).toBeUndefined();
      expect(spending(provider)).toEqual([2]);
    }),
  240_000,
);
