// An upstream says 401: which calls are sent again with another token, which are not, and when it asks for a better login (RFC 9470).
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { accessToken } from '../support/gate.ts';
import { createCaller } from '../support/gate-call.ts';
import { connect } from '../support/raw-client.ts';
import { refreshed, refuse, startRefusingApi } from '../support/refusing-api.ts';
import type { RefusingApi } from '../support/refusing-api.ts';
import { until } from '../support/until.ts';

let api: RefusingApi;
const { call, open } = createCaller(() => api.gate);

// Pauses are kept per route, so every test has routes that nothing has happened on.
beforeEach(async () => {
  api = await startRefusingApi();
});
afterEach(() => api[Symbol.asyncDispose]());

describe('what is replayed', () => {
  test.each([
    [0, false],
    [1, true],
    [64 * 1024, false],
    [64 * 1024, true],
  ])('is the body to the last byte: %i bytes, chunked: %j', async (size, chunked) => {
    const body = randomBytes(size);
    const answer = await call('/api', { cookie: api.cookie, method: 'PUT', body, chunked });
    expect(answer.status).toBe(200);
    expect(answer.bytes.equals(body)).toBe(true);
    expect(api.received().map((request) => request.body.equals(body))).toEqual([true, true]);
  });

  test.each([false, true])(
    'is no body over 64 KB, but the next call has the new token; chunked: %j (PRX-13)',
    async (chunked) => {
      const body = randomBytes(64 * 1024 + 1);
      const answer = await call('/api', { cookie: api.cookie, method: 'PUT', body, chunked });
      expect(answer).toMatchObject({ status: 401, body: '{"from":"upstream"}' });
      await until(() => api.refreshes === 1);
      await until(async () => (await call('/api', { cookie: api.cookie })).status === 200);
      expect(api.received().filter(({ method }) => method === 'PUT')).toHaveLength(1);
      expect(api.refreshes).toBe(1);
    },
  );

  test('is nothing that was refused before all of it had arrived', async () => {
    api.upstream.answerEarly = true;
    api.refuseAll();
    const socket = connect(api.gate.address);
    socket.write(
      `PUT /api HTTP/1.1\r\nHost: ${api.gate.host}\r\nCookie: ${api.cookie}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 5\r\n\r\nhe`,
    );
    const [head] = (await once(socket, 'data')) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1\.1 401 /);
    expect(api.received()).toHaveLength(1);
    socket.destroy();
  });

  test('is nothing when the 401 itself has a body over 64 KB, which passes whole', async () => {
    const page = randomBytes(200_000);
    api.upstream.answer = (_, response) => {
      response.writeHead(401);
      // Many pieces, which arrive together.
      for (let at = 0; at < page.length; at += 500) response.write(page.subarray(at, at + 500));
      response.end();
    };
    const answer = await call('/api', { cookie: api.cookie });
    expect(answer.status).toBe(401);
    expect(answer.bytes.equals(page)).toBe(true);
    expect(api.received()).toHaveLength(1);
  });

  test.each(['', 'begun'])(
    'is nothing when the 401 itself stalls, which passes as far as it has come: %j',
    async (sent) => {
      api.upstream.answer = (_, response) => {
        response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"', 'content-length': '100' });
        response.flushHeaders();
        if (sent !== '') response.write(sent);
      };
      const answer = await open('/api', { headers: { cookie: api.cookie, 'sec-fetch-site': 'same-origin' } });
      expect(answer.statusCode).toBe(401);
      if (sent !== '') expect(String((await once(answer, 'data'))[0])).toBe(sent);
      answer.destroy();
      expect(api.received()).toHaveLength(1);
    },
  );

  test('is nothing once the client has gone, though the refresh goes on', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    api.answerRefresh = (tokens) => promise.then(() => refreshed({ ...tokens, accessToken: 'new-1' }));
    const socket = connect(api.gate.address);
    socket.write(
      `GET /api HTTP/1.1\r\nHost: ${api.gate.host}\r\nCookie: ${api.cookie}\r\nSec-Fetch-Site: same-origin\r\n\r\n`,
    );
    await until(() => api.refreshes === 1);
    socket.destroy();
    await until(() => api.gate.log.some((line) => line.includes('"completed":false')));
    resolve(undefined);
    await until(async () => (await call('/other', { cookie: api.cookie })).status === 200);
    expect(api.bearers()).toEqual([`Bearer ${accessToken}`, 'Bearer new-1']);
  });

  test('is no call that the new claims no longer allow', async () => {
    api.answerRefresh = (tokens) =>
      refreshed({ ...tokens, accessToken: 'new-1', claims: { ...tokens.claims, role: 'guest' } });
    expect(await call('/admins', { cookie: api.cookie })).toMatchObject({
      status: 403,
      problem: { code: 'forbidden' },
    });
    expect(api.received()).toHaveLength(1);
  });
});

describe('step-up (RFC 9470)', () => {
  const asks = (parameters: string) => `Bearer error="insufficient_user_authentication", ${parameters}`;

  test('what the route allows of it is in the address of the login (ID-24)', async () => {
    api.refuseAll(asks('acr_values="gold platinum", max_age="300"'));
    expect(await call('/stepping', { cookie: api.cookie, method: 'POST', body: randomBytes(100_000) })).toMatchObject({
      status: 401,
      problem: { code: 'step_up_required', loginUrl: '/bff/login?acr_values=gold&max_age=300' },
    });
    expect(api.refreshes).toBe(0);
    expect(api.received()).toHaveLength(1);
  });

  test('may be the answer to a replay', async () => {
    api.upstream.answer = ({ headers }, response) =>
      refuse(response, headers.authorization === 'Bearer new-1' ? asks('max_age=0') : undefined);
    expect(await call('/stepping', { cookie: api.cookie })).toMatchObject({
      status: 401,
      problem: { code: 'step_up_required', loginUrl: '/bff/login?max_age=0' },
    });
    expect(await api.gate.metric('postern_upstream_replays_total{http_route="/stepping"')).toEqual([
      'postern_upstream_replays_total{http_route="/stepping",outcome="accepted"} 1',
    ]);
  });

  test('a 401 that asks for what the route does not allow goes through', async () => {
    for (const [path, parameters] of [
      ['/stepping', 'acr_values="platinum"'],
      ['/api', 'acr_values="gold"'],
    ] as const) {
      api.refuseAll(asks(parameters));
      expect(await call(path, { cookie: api.cookie })).toMatchObject({ status: 401, body: '{"from":"upstream"}' });
    }
    expect(api.refreshes).toBe(0);
  });
});
