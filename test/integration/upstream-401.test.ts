// An upstream says 401 to a token that we thought good: one refresh, one replay, and never a storm of either.
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { RefreshOutcome } from '../../src/oidc/provider.ts';
import { accessToken, idToken } from '../support/gate.ts';
import { createCaller } from '../support/gate-call.ts';
import { refreshed, refuse, startRefusingApi } from '../support/refusing-api.ts';
import type { RefusingApi } from '../support/refusing-api.ts';
import { minute } from '../support/token-record.ts';
import { until } from '../support/until.ts';

let api: RefusingApi;
const { call } = createCaller(() => api.gate);

// Pauses are kept per route, so every test has routes that nothing has happened on.
beforeEach(async () => {
  api = await startRefusingApi();
});
afterEach(() => api[Symbol.asyncDispose]());

describe('a token that the upstream refuses', () => {
  test.each(['Bearer error="invalid_token"', 'Basic realm="x", bearer realm="y", Error=invalid_token', ''])(
    'is refreshed once and the call replayed, so that the app sees only the answer: %j (TK-11)',
    async (challenge) => {
      api.refuseOldToken(challenge);
      const answer = await call('/api/orders?page=2', {
        cookie: api.cookie,
        method: 'POST',
        body: Buffer.from('{"n":1}'),
      });
      expect(answer).toMatchObject({ status: 200, body: '{"n":1}' });
      expect(api.bearers()).toEqual([`Bearer ${accessToken}`, 'Bearer new-1']);
      const [first, second] = api.received().map(({ method, target, body, headers }) => {
        const { authorization, ...rest } = headers;
        return { authorization: authorization !== undefined, method, target, body, rest };
      });
      expect(second).toEqual(first);
      expect(api.refreshes).toBe(1);
    },
  );

  test('costs one refresh, however many calls meet it (TK-11)', async () => {
    api.answerRefresh = async (tokens) => {
      await until(() => api.received().length === 50);
      return refreshed({ ...tokens, accessToken: 'new-1' });
    };
    const answers = await Promise.all(Array.from({ length: 50 }, () => call('/api', { cookie: api.cookie })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(api.refreshes).toBe(1);
    expect(api.received()).toHaveLength(100);
  });

  test('is exchanged for the one that another call has brought meanwhile, whatever the upstream blames', async () => {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>();
    api.upstream.answer = (_, response) => resolve(response);
    const answer = call('/api', { cookie: api.cookie });
    const held = await promise;
    await api.gate.refresh(api.cookie);
    api.refuseAll();
    api.upstream.answer = (_, response) => void response.end('fine');
    refuse(held, 'Bearer error="insufficient_scope"');
    expect(await answer).toMatchObject({ status: 200, body: 'fine' });
    expect(api.bearers()).toEqual([`Bearer ${accessToken}`, 'Bearer new-1']);
    expect(api.refreshes).toBe(1);
  });

  test('is the ID token, on a route that sends that', async () => {
    expect((await call('/id', { cookie: api.cookie })).status).toBe(200);
    expect(api.bearers()).toEqual([`Bearer ${idToken}`, 'Bearer id-1']);
  });

  test('is counted by what its replacement comes to', async () => {
    await call('/api', { cookie: api.cookie });
    expect(await api.gate.metric('postern_upstream_replays_total')).toEqual([
      'postern_upstream_replays_total{http_route="/api",outcome="accepted"} 1',
    ]);
  });
});

describe('no refresh is started', () => {
  test.each(['Bearer error="insufficient_scope"', 'Bearer realm="x"', 'Basic realm="x"', 'Negotiate', 'nonsense=='])(
    'by a 401 that blames something else, which goes through: %j',
    async (challenge) => {
      api.refuseAll(challenge);
      expect(await call('/api', { cookie: api.cookie })).toMatchObject({ status: 401, body: '{"from":"upstream"}' });
      expect(api.refreshes).toBe(0);
      expect(api.received()).toHaveLength(1);
    },
  );

  test('within a minute of the last one, be it the login’s', async () => {
    const fresh = await api.gate.signIn();
    api.wait(minute - 1);
    expect((await call('/api', { cookie: fresh })).status).toBe(401);
    expect(api.refreshes).toBe(0);
    api.wait(1);
    expect((await call('/api', { cookie: fresh })).status).toBe(200);
    api.refuseAll();
    api.wait(minute - 1);
    expect((await call('/api', { cookie: fresh })).status).toBe(401);
    expect(api.refreshes).toBe(1);
  });

  test('for a call that carried no token', async () => {
    api.refuseAll();
    expect((await call('/bare', { cookie: api.cookie })).status).toBe(401);
    expect((await call('/optional')).status).toBe(401);
    expect(api.refreshes).toBe(0);
    expect(api.received()).toHaveLength(2);
  });

  test('by an API that answers 401 to everything: three new tokens are refused, then it is left alone for five minutes (PRX-13)', async () => {
    api.refuseAll();
    const ask = async (path: string): Promise<number> => {
      api.wait(minute);
      return (await call(path, { cookie: api.cookie })).status;
    };
    for (let round = 1; round <= 3; round += 1) expect(await ask('/api')).toBe(401);
    expect([api.refreshes, api.received().length]).toEqual([3, 6]);
    for (let round = 1; round <= 4; round += 1) expect(await ask('/api')).toBe(401);
    expect([api.refreshes, api.received().length]).toEqual([3, 10]);
    expect(api.gate.log.filter((line) => line.includes('upstream_rejects_token'))).toHaveLength(1);
    // Another route is another API.
    expect(await ask('/other')).toBe(401);
    expect(api.refreshes).toBe(4);
    api.wait(minute);
    expect(await ask('/api')).toBe(401);
    expect(api.refreshes).toBe(5);
  });

  test('a replay that is accepted starts the count of refused ones anew', async () => {
    for (const taken of [false, false, true, false, false]) {
      api.wait(minute);
      api.upstream.answer = ({ headers }, response) => {
        if (taken && headers.authorization === `Bearer new-${api.refreshes}` && api.refreshes === 3) response.end();
        else refuse(response);
      };
      expect((await call('/api', { cookie: api.cookie })).status).toBe(taken ? 200 : 401);
    }
    expect(api.refreshes).toBe(5);
    expect(api.gate.log.join('')).not.toContain('upstream_rejects_token');
  });
});

describe('a refresh that brings nothing', () => {
  const away: RefreshOutcome = {
    kind: 'unavailable',
    sent: false,
    answered: false,
    retryAfterMs: undefined,
    cause: new Error('away'),
  };

  test('because the provider is away is an outage and no logout, and the session works afterwards (ST-04)', async () => {
    api.answerRefresh = () => Promise.resolve(away);
    const answer = await call('/api', { cookie: api.cookie });
    expect(answer).toMatchObject({ status: 503, problem: { code: 'provider_unavailable' } });
    expect(answer.headers['retry-after']).toBe('1');
    // Its pause holds for calls too.
    expect((await call('/api', { cookie: api.cookie })).status).toBe(503);
    expect(api.refreshes).toBe(1);
    api.wait(minute);
    api.answerRefresh = (tokens) => refreshed({ ...tokens, accessToken: 'new-2' });
    expect((await call('/api', { cookie: api.cookie })).status).toBe(200);
  });

  test('leaves a 401 as it is when nobody blamed the token', async () => {
    api.refuseOldToken('');
    api.answerRefresh = () => Promise.resolve(away);
    expect(await call('/api', { cookie: api.cookie })).toMatchObject({ status: 401, body: '{"from":"upstream"}' });
  });

  test('because the session is over says so', async () => {
    api.answerRefresh = () => Promise.resolve({ kind: 'ended', error: 'invalid_grant' });
    expect(await call('/api', { cookie: api.cookie })).toMatchObject({
      status: 401,
      problem: { code: 'session_expired', loginUrl: '/bff/login' },
    });
    expect(api.received()).toHaveLength(1);
  });
});
