// An expired token and the one refresh of it, as callers meet it, against a real provider that rotates and ends the grant when a spent token comes back.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { withExpiringSession } from '../support/expiring-session.ts';
import type { ExpiringSession } from '../support/expiring-session.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { ageTokens } from '../support/token-age.ts';
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
    'an expired token is refreshed in the call that needs it, with client authentication, and the caller sees one normal answer (BFF-08)',
    async ({ provider, alice, expiry, refreshes }) => {
      const before = await alice.call('/api/x');
      await expiry();
      const after = await alice.call('/api/x');
      expect([before.status, after.status]).toEqual([200, 200]);
      expect(after.body).toMatch(/^Bearer /);
      expect(after.body).not.toBe(before.body);
      expect(refreshes()).toBe(1);
      expect(provider.endpoints.seen('token', 'refresh_token')[0]?.clientAuth).toBe('basic');
    },
  );

  claim(
    '100 calls on one expired token make one token call, and none of them fails (TK-04, TK-06, SES-18)',
    async ({ provider, alice, expiry, refreshes }) => {
      provider.endpoints.behaviours.token.delayMs = 50;
      // The next token is to expire as well.
      if (sessions === 'memory') provider.lifetime.accessTokenSeconds = 10;
      await expiry();
      const answers = await Promise.all(Array.from({ length: 100 }, () => alice.call('/api/x')));
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
      expect(refreshes()).toBe(1);
      await expiry();
      expect((await alice.call('/api/x')).status).toBe(200);
      expect(refreshes()).toBe(2);
    },
  );

  claim(
    'a token in its last fifth is used at once and refreshed behind the call (TK-11)',
    async ({ provider, alice, refreshes }) => {
      provider.endpoints.behaviours.token.hold();
      const { body } = await alice.call('/api/x');
      if (sessions === 'redis') await ageTokens(alice, redis, 250_000);
      await until(async () => {
        const answer = await alice.call('/api/x');
        expect(answer.body).toBe(body);
        return refreshes() === 1;
      });
    },
    20,
  );

  claim(
    'a caller that hangs up cancels nothing: the refresh it started is there for the next call (TK-12)',
    async ({ provider, alice, expiry, refreshes }) => {
      const release = provider.endpoints.behaviours.token.hold();
      await expiry();
      const hangUp = new AbortController();
      const call = alice.call('/api/x', { signal: hangUp.signal });
      await until(() => refreshes() === 1);
      hangUp.abort();
      await expect(call).rejects.toThrow();
      release();
      expect((await alice.call('/api/x')).status).toBe(200);
      expect(refreshes()).toBe(1);
    },
  );

  claim(
    'a caller waits 15 s for a slow provider, then gets 503; the answer that comes later is not lost',
    async ({ provider, alice, expiry, refreshes }) => {
      const release = provider.endpoints.behaviours.token.hold();
      await expiry();
      const watch = startStopwatch();
      const impatient = await alice.call('/api/x');
      expect(watch.elapsedMs()).toBeLessThan(16_500);
      watch.stop();
      expect(impatient.status).toBe(503);
      expect(JSON.parse(impatient.body)).toMatchObject({ code: 'provider_unavailable' });
      release();
      expect((await alice.call('/api/x')).status).toBe(200);
      expect(refreshes()).toBe(1);
    },
  );

  claim('a route that sends no token never waits for one', async ({ provider, alice, expiry, refreshes }) => {
    provider.endpoints.behaviours.token.hold();
    await expiry();
    const { status, body } = await alice.call('/plain/x');
    expect([status, body]).toEqual([200, '']);
    expect(refreshes()).toBe(0);
  });

  claim(
    'a request without an answer is sent once more with the same token',
    async ({ provider, postern, alice, expiry, refreshes }) => {
      provider.endpoints.behaviours.token.fail('reset', 1);
      await expiry();
      expect((await alice.call('/api/x')).status).toBe(200);
      expect(refreshes()).toBe(2);
      const [first, second] = provider.endpoints.seen('token', 'refresh_token');
      expect(first?.parameters.get('refresh_token')).toBe(second?.parameters.get('refresh_token'));
      expect(await postern.metric('postern_token_refresh_resends_total')).toEqual([
        'postern_token_refresh_resends_total 1',
      ]);
    },
  );

  claim(
    'a refresh that ends after the logout brings nothing back, and what it got is revoked (SES-20)',
    async ({ provider, alice, expiry, refreshes }) => {
      const { token, revocation } = provider.endpoints.behaviours;
      const answerRefresh = token.hold();
      // The logout's own revocation would end the grant before the refresh gets anything.
      revocation.hold();
      await expiry();
      const call = alice.call('/api/x');
      await until(() => refreshes() === 1);
      expect((await alice.call('/bff/logout', { method: 'POST' })).status).toBe(200);
      answerRefresh();
      expect((await call).status).toBe(401);
      const revoked = () =>
        new Set(provider.endpoints.seen('revocation').map(({ parameters }) => parameters.get('token')));
      await until(() => revoked().size === 2);
      revocation.recover();
      expect((await alice.call('/api/x')).status).toBe(401);
    },
  );
});
