// What a route says of who may use it, what its upstream gets and what comes back, over real sockets.
import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { createCaller } from '../support/gate-call.ts';
import { connect, exchange } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
let gate: Gate;
const { call } = createCaller(() => gate);

const claims = { 'X-User-Id': 'sub', 'X-Name': 'name', 'X-Roles': 'realm_access.roles' };

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  gate = await startGate({
    routes: [
      { path: '/api', upstream: upstream.url },
      { path: '/api/admin', upstream: upstream.url, require: { 'realm_access.roles': ['admin'] } },
      { path: '/v1', upstream: upstream.url, auth: 'none', rewrite: '/api/v2' },
      { path: '/told', upstream: upstream.url, auth: 'optional', headers: { claims } },
      { path: '/open', upstream: upstream.url, auth: 'none' },
      {
        path: '/fields',
        upstream: upstream.url,
        auth: 'none',
        headers: {
          request: { set: { 'X-Tenant': 'shop' }, remove: ['X-Debug'] },
          response: { set: { 'X-Frame-Options': 'DENY' }, remove: ['X-Internal'] },
        },
        contentSecurityPolicy: 'upstream',
      },
      { path: '/small', upstream: upstream.url, auth: 'none', limits: { body: '1kb' } },
      { path: '/small/mine', upstream: upstream.url, limits: { body: '1kb' } },
    ],
  });
});

afterAll(async () => {
  await gate.stop();
  await upstream.stop();
});

afterEach(() => {
  upstream.reset();
  upstream.requests.length = 0;
});

describe('a route that asks for a claim', () => {
  test('lets in who has it', async () => {
    const cookie = await gate.signIn({ realm_access: { roles: ['user', 'admin'] } });
    expect((await call('/api/admin/users', { cookie })).status).toBe(200);
    expect(upstream.requests.length).toBe(1);
  });

  test('answers 403 to all others, and the upstream hears nothing', async () => {
    for (const claims of [{}, { realm_access: { roles: ['user'] } }, { roles: ['admin'] }]) {
      const cookie = await gate.signIn(claims);
      const answer = await call('/api/admin/users', { cookie });
      expect(answer).toMatchObject({ status: 403, problem: { code: 'forbidden' } });
      expect(answer.problem).not.toHaveProperty('loginUrl');
      expect(answer.headers).not.toHaveProperty('set-cookie');
      expect((await call('/api/orders', { cookie })).status).toBe(200);
    }
    expect(upstream.requests.length).toBe(3);
  });

  test('answers 401 to who is not logged in, and 403 csrf_rejected to another site', async () => {
    expect(await call('/api/admin')).toMatchObject({ status: 401, problem: { code: 'session_required' } });
    const cookie = await gate.signIn({ realm_access: { roles: ['admin'] } });
    expect(await call('/api/admin', { cookie, headers: { 'sec-fetch-site': 'cross-site' } })).toMatchObject({
      status: 403,
      problem: { code: 'csrf_rejected' },
    });
    expect(upstream.requests.length).toBe(0);
  });
});

describe('claims in header fields', () => {
  const forged = { 'x-user-id': 'mallory', 'x-roles': 'admin', x_user_id: 'mallory', 'x-name': 'M' };

  test('tell the upstream who is calling, in one line of ASCII (PRX-06, HD-08)', async () => {
    const cookie = await gate.signIn({ name: 'Zoë\r\nX-Evil: 1', realm_access: { roles: ['user', 'a,b'] } });
    await call('/told', { cookie, headers: forged });
    expect(upstream.last.headers).toMatchObject({
      'x-user-id': 'alice',
      'x-name': 'Zo%C3%AB%0D%0AX-Evil: 1',
      'x-roles': 'user,a%2Cb',
    });
    expect(upstream.last.rawHeaders.flat().join()).not.toMatch(/mallory|admin/);
    expect(upstream.last.headers).not.toHaveProperty('x-evil');
  });

  test('cannot be sent by anybody else, on this route or another (PRX-06, HD-01)', async () => {
    const ended = await gate.signIn();
    await gate.signOut(ended);
    for (const [path, cookie] of [['/told'], ['/open'], ['/told', ended]] as const) {
      await call(path, { ...(cookie === undefined ? {} : { cookie }), headers: forged });
      const names = upstream.last.rawHeaders.map(([name]) => name.toLowerCase());
      expect(names.filter((name) => /^x[-_](user|roles|name)/.test(name))).toEqual([]);
    }
    expect(upstream.requests.length).toBe(3);
  });
});

test('a rewritten path is what the upstream gets, with its query', async () => {
  expect((await call('/v1/orders/7?page=2')).status).toBe(200);
  expect(upstream.last.target).toBe('/api/v2/orders/7?page=2');
});

test('header fields are set and removed in both directions', async () => {
  const policy = "default-src 'nonce-1'";
  upstream.answer = (_, response) =>
    void response
      .writeHead(200, { 'x-internal': '1', 'x-frame-options': 'x', 'x-other': '1', 'content-security-policy': policy })
      .end();
  const { headers } = await call('/fields', { headers: { 'x-tenant': 'evil', 'x-debug': '1', 'x-other': '1' } });
  expect(upstream.last.headers).toMatchObject({ 'x-tenant': 'shop', 'x-other': '1' });
  expect(upstream.last.headers).not.toHaveProperty('x-debug');
  expect(headers).toMatchObject({ 'x-frame-options': 'DENY', 'x-other': '1', 'content-security-policy': policy });
  expect(headers).not.toHaveProperty('x-internal');
});

describe('a route with a limit for bodies', () => {
  test.each([false, true])('lets a body of the very size through (chunked: %s)', async (chunked) => {
    const answer = await call('/small', { method: 'POST', body: randomBytes(1024), chunked });
    expect(answer.status).toBe(200);
    expect(upstream.last.body).toHaveLength(1024);
  });

  test('refuses a larger one by its length, before the upstream hears of it', async () => {
    const answer = await call('/small', { method: 'POST', body: randomBytes(1025) });
    expect(answer).toMatchObject({ status: 413, problem: { code: 'payload_too_large' } });
    expect(upstream.requests.length).toBe(0);
  });

  test('asks for a login first', async () => {
    expect((await call('/small/mine', { method: 'POST', body: randomBytes(2000) })).status).toBe(401);
    const cookie = await gate.signIn();
    expect((await call('/small/mine', { cookie, method: 'POST', body: randomBytes(2000) })).status).toBe(413);
    expect(upstream.requests.length).toBe(0);
  });

  test.each(['/small', '/small/mine'])(
    'cuts a body off that does not say how long it is, and ends the upstream’s request: %s',
    async (path) => {
      const { aborted } = upstream;
      const errors = await gate.metric('postern_upstream_errors_total');
      const body = new PassThrough();
      const answer = call(path, { cookie: await gate.signIn(), method: 'POST', stream: body });
      body.write('a');
      await until(() => upstream.requests.length === 1);
      body.end(randomBytes(300_000));
      expect(await answer).toMatchObject({ status: 413, problem: { code: 'payload_too_large' } });
      await until(() => upstream.aborted === aborted + 1);
      expect(await gate.metric('postern_upstream_errors_total')).toEqual(errors);
    },
  );

  test('an answer that has begun is cut, and does not look whole', async () => {
    upstream.answerEarly = true;
    upstream.answer = (_, response) => void response.writeHead(200, { 'content-length': '100' }).write('early');
    const client = connect(gate.address);
    let received = '';
    client.on('data', (bytes) => (received += bytes.toString()));
    client.on('error', () => undefined);
    client.write(`POST /small HTTP/1.1\r\nHost: ${gate.host}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n`);
    await until(() => received.includes('early'));
    client.write(`800\r\n${'b'.repeat(0x800)}\r\n`);
    await until(() => client.closed);
    expect(received).toMatch(/^HTTP\/1\.1 200 /);
    expect(received).not.toContain('HTTP/1.1 413');
  });

  test('the connection is good for the next request once the body is over', async () => {
    const host = `Host: ${gate.host}\r\n`;
    const chunks = `3e8\r\n${'c'.repeat(1000)}\r\n`.repeat(40);
    const { answers } = await exchange(
      gate.address,
      `POST /small HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n` +
        `GET /open HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
    );
    expect(answers.map(({ status }) => status)).toEqual([413, 200]);
  });
});
