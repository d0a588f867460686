// A refresh that brings no token: which failures end the session, which are an outage, and when the provider is asked again.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Fault } from '../support/endpoint.ts';
import { withExpiringSession } from '../support/expiring-session.ts';
import type { ExpiringSession } from '../support/expiring-session.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import type { Answer } from '../support/signed-in.ts';
import { until } from '../support/until.ts';
import { answerWithToken, RecordingUpstream } from '../support/upstream.ts';

let api: RecordingUpstream;
let redis: RedisServer;

beforeAll(async () => {
  [api, redis] = await Promise.all([RecordingUpstream.start(), startRedis()]);
  api.answer = answerWithToken;
});
afterAll(async () => {
  await api.stop();
  await redis[Symbol.asyncDispose]();
});

describe.each(['memory', 'redis'] as const)('with sessions in %s', (sessions) => {
  const claim = (name: string, body: (session: ExpiringSession) => Promise<void>, lifetimeSeconds = 8): void =>
    test.concurrent(name, () => withExpiringSession({ sessions, redis, api, lifetimeSeconds }, body), 180_000);

  claim(
    'invalid_grant ends the session: 401 session_expired with the cookie kept, and the second call asks nobody (BFF-10, TK-07)',
    async ({ provider, alice, expiry, refreshes }) => {
      provider.forgetGrants();
      await expiry();
      const first = await alice.call('/api/x');
      expect(JSON.parse(first.body)).toMatchObject({ status: 401, code: 'session_expired', loginUrl: '/bff/login' });
      expect(first.headers['set-cookie']).toBeUndefined();
      expect((await alice.call('/api/x')).status).toBe(401);
      expect(refreshes()).toBe(1);
      expect(JSON.parse((await alice.call('/bff/session')).body)).toMatchObject({ authenticated: false });
    },
  );

  for (const error of ['interaction_required', 'login_required', 'consent_required']) {
    claim(`${error} ends the session like invalid_grant does`, async ({ provider, alice, expiry }) => {
      provider.endpoints.behaviours.token.fail({ error, status: 400 });
      await expiry();
      expect((await alice.call('/api/x')).status).toBe(401);
      provider.endpoints.behaviours.token.recover();
      expect((await alice.call('/api/x')).status).toBe(401);
    });
  }

  const passing: Record<string, Fault> = {
    invalid_client: { error: 'invalid_client', status: 401 },
    'another 4xx': { error: 'unauthorized_client', status: 400 },
    '503': 'unavailable',
    '429': 'too-many-requests',
    'a page instead of JSON': 'html',
  };
  for (const [name, fault] of Object.entries(passing)) {
    claim(
      `${name} logs nobody out: 503 with Retry-After, and the session goes on when the provider does (BFF-11, TK-07)`,
      async ({ provider, alice, expiry }) => {
        provider.endpoints.behaviours.token.fail(fault, 1);
        await expiry();
        const answer = await alice.call('/api/x');
        expect([answer.status, codeOf(answer)]).toEqual([503, 'provider_unavailable']);
        expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
        expect(answer.headers['set-cookie']).toBeUndefined();
        await until(async () => (await alice.call('/api/x')).status === 200);
      },
    );
  }

  claim(
    'a provider that is down is asked once per back-off window, not by every call (TK-09)',
    async ({ provider, alice, expiry, refreshes }) => {
      const headers = { 'retry-after': '60' };
      provider.endpoints.behaviours.token.fail({ error: 'temporarily_unavailable', status: 503, headers });
      await expiry();
      const calls = () => Promise.all(Array.from({ length: 50 }, () => alice.call('/api/x')));
      const answers = [...(await calls()), ...(await calls())];
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
      expect(refreshes()).toBe(1);
    },
  );

  claim(
    'a provider that says "come back tomorrow" is asked again after a minute (TK-09)',
    async ({ provider, alice, expiry, refreshes }) => {
      const headers = { 'retry-after': '86400' };
      provider.endpoints.behaviours.token.fail({ error: 'temporarily_unavailable', status: 503, headers }, 1);
      await expiry();
      expect((await alice.call('/api/x')).headers['retry-after']).toBe('60');
      // The next one is told what is left of it, by the session's record.
      expect(Number((await alice.call('/api/x')).headers['retry-after'])).toBeLessThanOrEqual(60);
      expect(refreshes()).toBe(1);
    },
  );

  claim(
    'a token that is still valid keeps working while the provider is down (OA-24)',
    async ({ provider, alice }) => {
      await provider.goAway();
      expect((await alice.call('/api/x')).status).toBe(200);
      await provider.comeBack();
    },
    300,
  );

  claim(
    'a refused connection was not sent: it is tried again when the back-off is over',
    async ({ provider, alice, expiry }) => {
      await expiry();
      await provider.goAway();
      expect((await alice.call('/api/x')).status).toBe(503);
      await provider.comeBack();
      await until(async () => (await alice.call('/api/x')).status === 200);
    },
  );

  claim(
    'a provider that rotated, lost its answer and forgives no second use ends the session: the one logout that nobody can prevent',
    async ({ provider, alice, expiry, refreshes }) => {
      provider.endpoints.behaviours.token.fail('lose-answer', 1);
      await expiry();
      expect((await alice.call('/api/x')).status).toBe(401);
      expect(refreshes()).toBe(2);
    },
  );
});

function codeOf(answer: Answer): unknown {
  return (JSON.parse(answer.body) as { code?: unknown }).code;
}
