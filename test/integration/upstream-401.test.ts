// An upstream says 401 to a token that we thought good: one refresh, one replay, and never a storm of either.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Provider, RefreshOutcome } from '../../src/oidc/provider.ts';
import type { Tokens } from '../../src/oidc/token-set.ts';
import { createCaller } from '../support/gate-call.ts';
import { accessToken, idToken, startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { connect } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

const minute = 60_000;

let upstream: RecordingUpstream;
let gate: Gate;
let cookie: string;
let clock = Date.now();
let refreshes: number;
let answerRefresh: Provider['refresh'];
const { call, open } = createCaller(() => gate);

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
});

afterAll(async () => {
  await upstream.stop();
});

// Pauses are kept per route, so every test gets routes that nothing has happened on.
beforeEach(async () => {
  refreshes = 0;
  answerRefresh = (tokens) => refreshed({ ...tokens, accessToken: `new-${refreshes}`, idToken: `id-${refreshes}` });
  gate = await startGate(
    {
      routes: [
        { path: '/api', upstream: upstream.url },
        { path: '/other', upstream: upstream.url },
        { path: '/id', upstream: upstream.url, token: 'id' },
        { path: '/bare', upstream: upstream.url, token: 'none' },
        { path: '/optional', upstream: upstream.url, auth: 'optional' },
        { path: '/admins', upstream: upstream.url, require: { role: ['admin'] } },
        { path: '/stepping', upstream: upstream.url, stepUp: { acrValues: ['gold'], maxAge: true } },
      ],
    },
    {
      now: () => clock,
      refreshTokens: (tokens, signal) => {
        refreshes += 1;
        return answerRefresh(tokens, signal);
      },
    },
  );
  cookie = await gate.signIn({ role: 'admin' });
  clock += 2 * minute;
  before = upstream.requests.length;
  refuseOldToken();
});

afterEach(async () => {
  upstream.reset();
  await gate.stop();
});

let before = 0;
const received = () => upstream.requests.slice(before);
const bearers = () => received().map(({ headers }) => headers.authorization);

function refreshed(tokens: Tokens): Promise<RefreshOutcome> {
  const brought = { ...tokens, expiresInMs: 3_600_000, refreshExpiresInMs: undefined };
  return Promise.resolve({ kind: 'refreshed', tokens: brought, unverifiedIdToken: undefined });
}

function refuse(response: ServerResponse, challenge: string | undefined = 'Bearer error="invalid_token"'): void {
  response.writeHead(401, {
    'content-type': 'application/json',
    ...(challenge === '' ? {} : { 'www-authenticate': challenge }),
  });
  response.end('{"from":"upstream"}');
}

/** Whatever was in place at the login is refused; the body of what is taken comes back. */
function refuseOldToken(challenge?: string): void {
  upstream.answer = ({ headers }, response, body) => {
    const isOld = [`Bearer ${accessToken}`, `Bearer ${idToken}`].includes(headers.authorization ?? '');
    if (isOld) refuse(response, challenge);
    else response.end(body);
  };
}

function refuseAll(challenge?: string): void {
  upstream.answer = (_, response) => refuse(response, challenge);
}

describe('a token that the upstream refuses', () => {
  test.each(['Bearer error="invalid_token"', 'Basic realm="x", bearer realm="y", Error=invalid_token', ''])(
    'is refreshed once and the call replayed, so that the app sees only the answer: %j (TK-11)',
    async (challenge) => {
      refuseOldToken(challenge);
      const answer = await call('/api/orders?page=2', { cookie, method: 'POST', body: Buffer.from('{"n":1}') });
      expect(answer).toMatchObject({ status: 200, body: '{"n":1}' });
      expect(bearers()).toEqual([`Bearer ${accessToken}`, 'Bearer new-1']);
      const [first, second] = received().map(({ method, target, body, headers }) => {
        const { authorization, ...rest } = headers;
        return { authorization: authorization !== undefined, method, target, body, rest };
      });
      expect(second).toEqual(first);
      expect(refreshes).toBe(1);
    },
  );

  test('costs one refresh, however many calls meet it (TK-11)', async () => {
    answerRefresh = async (tokens) => {
      await until(() => received().length === 50);
      return refreshed({ ...tokens, accessToken: 'new-1' });
    };
    const answers = await Promise.all(Array.from({ length: 50 }, () => call('/api', { cookie })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(refreshes).toBe(1);
    expect(received()).toHaveLength(100);
  });

  test('is exchanged for the one that another call has brought meanwhile, whatever the upstream blames', async () => {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>();
    upstream.answer = (_, response) => resolve(response);
    const answer = call('/api', { cookie });
    const held = await promise;
    await gate.refresh(cookie);
    refuseAll();
    upstream.answer = (_, response) => void response.end('fine');
    refuse(held, 'Bearer error="insufficient_scope"');
    expect(await answer).toMatchObject({ status: 200, body: 'fine' });
    expect(bearers()).toEqual([`Bearer ${accessToken}`, 'Bearer new-1']);
    expect(refreshes).toBe(1);
  });

  test('is the ID token, on a route that sends that', async () => {
    expect((await call('/id', { cookie })).status).toBe(200);
    expect(bearers()).toEqual([`Bearer ${idToken}`, 'Bearer id-1']);
  });

  test('is counted by what its replacement comes to', async () => {
    await call('/api', { cookie });
    expect(await gate.metric('postern_upstream_replays_total')).toEqual([
      'postern_upstream_replays_total{http_route="/api",outcome="accepted"} 1',
    ]);
  });
});

describe('no refresh is started', () => {
  test.each(['Bearer error="insufficient_scope"', 'Bearer realm="x"', 'Basic realm="x"', 'Negotiate', 'nonsense=='])(
    'by a 401 that blames something else, which goes through: %j',
    async (challenge) => {
      refuseAll(challenge);
      expect(await call('/api', { cookie })).toMatchObject({ status: 401, body: '{"from":"upstream"}' });
      expect(refreshes).toBe(0);
      expect(received()).toHaveLength(1);
    },
  );

  test('within a minute of the last one, be it the login’s', async () => {
    const fresh = await gate.signIn();
    clock += minute - 1;
    expect((await call('/api', { cookie: fresh })).status).toBe(401);
    expect(refreshes).toBe(0);
    clock += 1;
    expect((await call('/api', { cookie: fresh })).status).toBe(200);
    refuseAll();
    clock += minute - 1;
    expect((await call('/api', { cookie: fresh })).status).toBe(401);
    expect(refreshes).toBe(1);
  });

  test('for a call that carried no token', async () => {
    refuseAll();
    expect((await call('/bare', { cookie })).status).toBe(401);
    expect((await call('/optional')).status).toBe(401);
    expect(refreshes).toBe(0);
    expect(received()).toHaveLength(2);
  });

  test('by an API that answers 401 to everything: three new tokens are refused, then it is left alone for five minutes (PRX-13)', async () => {
    refuseAll();
    const ask = async (path: string): Promise<number> => {
      clock += minute;
      return (await call(path, { cookie })).status;
    };
    for (let round = 1; round <= 3; round += 1) expect(await ask('/api')).toBe(401);
    expect([refreshes, received().length]).toEqual([3, 6]);
    for (let round = 1; round <= 4; round += 1) expect(await ask('/api')).toBe(401);
    expect([refreshes, received().length]).toEqual([3, 10]);
    expect(gate.log.filter((line) => line.includes('upstream_rejects_token'))).toHaveLength(1);
    // Another route is another API.
    expect(await ask('/other')).toBe(401);
    expect(refreshes).toBe(4);
    clock += minute;
    expect(await ask('/api')).toBe(401);
    expect(refreshes).toBe(5);
  });

  test('a replay that is accepted starts the count of refused ones anew', async () => {
    for (const taken of [false, false, true, false, false]) {
      clock += minute;
      upstream.answer = ({ headers }, response) => {
        if (taken && headers.authorization === `Bearer new-${refreshes}` && refreshes === 3) response.end();
        else refuse(response);
      };
      expect((await call('/api', { cookie })).status).toBe(taken ? 200 : 401);
    }
    expect(refreshes).toBe(5);
    expect(gate.log.join('')).not.toContain('upstream_rejects_token');
  });
});

describe('what is replayed', () => {
  test.each([
    [0, false],
    [1, true],
    [64 * 1024, false],
    [64 * 1024, true],
  ])('is the body to the last byte: %i bytes, chunked: %j', async (size, chunked) => {
    const body = randomBytes(size);
    const answer = await call('/api', { cookie, method: 'PUT', body, chunked });
    expect(answer.status).toBe(200);
    expect(answer.bytes.equals(body)).toBe(true);
    expect(received().map((request) => request.body.equals(body))).toEqual([true, true]);
  });

  test.each([false, true])(
    'is no body over 64 KB, but the next call has the new token; chunked: %j (PRX-13)',
    async (chunked) => {
      const body = randomBytes(64 * 1024 + 1);
      const answer = await call('/api', { cookie, method: 'PUT', body, chunked });
      expect(answer).toMatchObject({ status: 401, body: '{"from":"upstream"}' });
      await until(() => refreshes === 1);
      await until(async () => (await call('/api', { cookie })).status === 200);
      expect(received().filter(({ method }) => method === 'PUT')).toHaveLength(1);
      expect(refreshes).toBe(1);
    },
  );

  test('is nothing that was refused before all of it had arrived', async () => {
    upstream.answerEarly = true;
    refuseAll();
    const socket = connect(gate.address);
    socket.write(
      `PUT /api HTTP/1.1\r\nHost: ${gate.host}\r\nCookie: ${cookie}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 5\r\n\r\nhe`,
    );
    const [head] = (await once(socket, 'data')) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1\.1 401 /);
    expect(received()).toHaveLength(1);
    socket.destroy();
  });

  test('is nothing when the 401 itself has a body over 64 KB, which passes whole', async () => {
    const page = randomBytes(200_000);
    upstream.answer = (_, response) => {
      response.writeHead(401);
      // Many pieces, which arrive together.
      for (let at = 0; at < page.length; at += 500) response.write(page.subarray(at, at + 500));
      response.end();
    };
    const answer = await call('/api', { cookie });
    expect(answer.status).toBe(401);
    expect(answer.bytes.equals(page)).toBe(true);
    expect(received()).toHaveLength(1);
  });

  test.each(['', 'begun'])(
    'is nothing when the 401 itself stalls, which passes as far as it has come: %j',
    async (sent) => {
      upstream.answer = (_, response) => {
        response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"', 'content-length': '100' });
        response.flushHeaders();
        if (sent !== '') response.write(sent);
      };
      const answer = await open('/api', { headers: { cookie, 'sec-fetch-site': 'same-origin' } });
      expect(answer.statusCode).toBe(401);
      if (sent !== '') expect(String((await once(answer, 'data'))[0])).toBe(sent);
      answer.destroy();
      expect(received()).toHaveLength(1);
    },
  );

  test('is nothing once the client has gone, though the refresh goes on', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    answerRefresh = (tokens) => promise.then(() => refreshed({ ...tokens, accessToken: 'new-1' }));
    const socket = connect(gate.address);
    socket.write(`GET /api HTTP/1.1\r\nHost: ${gate.host}\r\nCookie: ${cookie}\r\nSec-Fetch-Site: same-origin\r\n\r\n`);
    await until(() => refreshes === 1);
    socket.destroy();
    await until(() => gate.log.some((line) => line.includes('"completed":false')));
    resolve(undefined);
    await until(async () => (await call('/other', { cookie })).status === 200);
    expect(bearers()).toEqual([`Bearer ${accessToken}`, 'Bearer new-1']);
  });

  test('is no call that the new claims no longer allow', async () => {
    answerRefresh = (tokens) =>
      refreshed({ ...tokens, accessToken: 'new-1', claims: { ...tokens.claims, role: 'guest' } });
    expect(await call('/admins', { cookie })).toMatchObject({ status: 403, problem: { code: 'forbidden' } });
    expect(received()).toHaveLength(1);
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
    answerRefresh = () => Promise.resolve(away);
    const answer = await call('/api', { cookie });
    expect(answer).toMatchObject({ status: 503, problem: { code: 'provider_unavailable' } });
    expect(answer.headers['retry-after']).toBe('1');
    // Its pause holds for calls too.
    expect((await call('/api', { cookie })).status).toBe(503);
    expect(refreshes).toBe(1);
    clock += minute;
    answerRefresh = (tokens) => refreshed({ ...tokens, accessToken: 'new-2' });
    expect((await call('/api', { cookie })).status).toBe(200);
  });

  test('leaves a 401 as it is when nobody blamed the token', async () => {
    refuseOldToken('');
    answerRefresh = () => Promise.resolve(away);
    expect(await call('/api', { cookie })).toMatchObject({ status: 401, body: '{"from":"upstream"}' });
  });

  test('because the session is over says so', async () => {
    answerRefresh = () => Promise.resolve({ kind: 'ended', error: 'invalid_grant' });
    expect(await call('/api', { cookie })).toMatchObject({
      status: 401,
      problem: { code: 'session_expired', loginUrl: '/bff/login' },
    });
    expect(received()).toHaveLength(1);
  });
});

describe('step-up (RFC 9470)', () => {
  const asks = (parameters: string) => `Bearer error="insufficient_user_authentication", ${parameters}`;

  test('what the route allows of it is in the address of the login (ID-24)', async () => {
    refuseAll(asks('acr_values="gold platinum", max_age="300"'));
    expect(await call('/stepping', { cookie, method: 'POST', body: randomBytes(100_000) })).toMatchObject({
      status: 401,
      problem: { code: 'step_up_required', loginUrl: '/bff/login?acr_values=gold&max_age=300' },
    });
    expect(refreshes).toBe(0);
    expect(received()).toHaveLength(1);
  });

  test('may be the answer to a replay', async () => {
    upstream.answer = ({ headers }, response) =>
      refuse(response, headers.authorization === 'Bearer new-1' ? asks('max_age=0') : undefined);
    expect(await call('/stepping', { cookie })).toMatchObject({
      status: 401,
      problem: { code: 'step_up_required', loginUrl: '/bff/login?max_age=0' },
    });
    expect(await gate.metric('postern_upstream_replays_total{http_route="/stepping"')).toEqual([
      'postern_upstream_replays_total{http_route="/stepping",outcome="accepted"} 1',
    ]);
  });

  test('a 401 that asks for what the route does not allow goes through', async () => {
    for (const [path, parameters] of [
      ['/stepping', 'acr_values="platinum"'],
      ['/api', 'acr_values="gold"'],
    ] as const) {
      refuseAll(asks(parameters));
      expect(await call(path, { cookie })).toMatchObject({ status: 401, body: '{"from":"upstream"}' });
    }
    expect(refreshes).toBe(0);
  });
});
