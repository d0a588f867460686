// Every line of the outcome table of the refresh, against a real provider that rotates and ends the grant when a spent token comes back.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Fault } from '../support/endpoint.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import type { Answer, SignedIn } from '../support/signed-in.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { ageTokens, expireToken } from '../support/token-age.ts';
import { until } from '../support/until.ts';

/** Answers with the Authorization header that it was sent. */
let api: Server;
let apiUrl: string;
let redis: RedisServer;

beforeAll(async () => {
  api = createServer((request, response) => response.end(request.headers.authorization)).listen(0, '127.0.0.1');
  await once(api, 'listening');
  apiUrl = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
  redis = await startRedis();
});
afterAll(async () => {
  api.closeAllConnections();
  api.close();
  await redis[Symbol.asyncDispose]();
});

interface Scenario {
  provider: RealProvider;
  postern: LocalPostern;
  alice: SignedIn;
  /** Her access token expires: in real time where sessions are in memory. */
  expiry: () => Promise<void>;
  /** How many token calls spent a refresh token. */
  refreshes: () => number;
}

interface Settings {
  sessions: 'memory' | 'redis';
  /** Of the access token of the login where sessions are in memory; all others live for five minutes. */
  lifetimeSeconds?: number;
}

// Every claim has a provider, a Postern and a user of its own, so that all of them can wait for their tokens to expire at the same time.
async function play(
  { sessions, lifetimeSeconds = 8 }: Settings,
  claim: (scenario: Scenario) => Promise<void>,
): Promise<void> {
  const inMemory = sessions === 'memory';
  const provider = await startRealProvider(inMemory ? { accessTokenTtlSeconds: lifetimeSeconds } : {});
  const routes = [
    { path: '/api', upstream: apiUrl },
    { path: '/plain', upstream: apiUrl, token: 'none' },
  ];
  const postern = await startPostern(provider, { routes, ...(!inMemory && { redis: { url: redis.url } }) });
  try {
    const alice = await signIn(postern, provider);
    provider.lifetime.accessTokenSeconds = 300;
    await claim({
      provider,
      postern,
      alice,
      expiry: () => (inMemory ? alice.untilExpired() : expireToken(alice, redis, [postern])),
      refreshes: () => provider.endpoints.seen('token', 'refresh_token').length,
    });
  } finally {
    provider.endpoints.behaviours.token.recover();
    await postern.stop();
    await provider.close();
  }
}

function codeOf(answer: Answer): unknown {
  return (JSON.parse(answer.body) as { code?: unknown }).code;
}

describe.each(['memory', 'redis'] as const)('with sessions in %s', (kind) => {
  function claim(
    name: string,
    body: (scenario: Scenario) => Promise<void>,
    settings: Omit<Settings, 'sessions'> = {},
  ): void {
    test.concurrent(name, () => play({ sessions: kind, ...settings }, body), 180_000);
  }

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
      if (kind === 'memory') provider.lifetime.accessTokenSeconds = 10;
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
      if (kind === 'redis') await ageTokens(alice, redis, 250_000);
      await until(async () => {
        const answer = await alice.call('/api/x');
        expect(answer.body).toBe(body);
        return refreshes() === 1;
      });
    },
    { lifetimeSeconds: 20 },
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
      expect([impatient.status, codeOf(impatient)]).toEqual([503, 'provider_unavailable']);
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
    { lifetimeSeconds: 300 },
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
    'a provider that rotated, lost its answer and forgives no second use ends the session: the one logout that nobody can prevent',
    async ({ provider, alice, expiry, refreshes }) => {
      provider.endpoints.behaviours.token.fail('lose-answer', 1);
      await expiry();
      expect((await alice.call('/api/x')).status).toBe(401);
      expect(refreshes()).toBe(2);
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
