// One API call through the real listener, over real sockets, to a real upstream: who gets through, and with what.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { accessToken, idToken, startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { createCaller } from '../support/gate-call.ts';
import { exchange } from '../support/raw-client.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
let gate: Gate;
let cookie: string;
const { call } = createCaller(() => gate);

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  gate = await startGate({
    routes: [
      { path: '/api', upstream: upstream.url },
      { path: '/api/read', upstream: upstream.url, methods: ['GET', 'HEAD'] },
      { path: '/api/quiet', upstream: upstream.url, activity: false },
      { path: '/optional', upstream: upstream.url, auth: 'optional' },
      { path: '/open', upstream: upstream.url, auth: 'none' },
      { path: '/id', upstream: upstream.url, token: 'id' },
      { path: '/bare', upstream: upstream.url, token: 'none' },
      { path: '/stripped', upstream: `${upstream.url}/v1`, auth: 'none', stripPath: true },
      { path: '/cookies', upstream: upstream.url, auth: 'none', cookies: { request: ['theme'], response: ['lang'] } },
    ],
  });
  cookie = await gate.signIn();
});

afterAll(async () => {
  await gate.stop();
  await upstream.stop();
});

let before: { requests: number; loads: number; slides: number };

beforeEach(() => {
  before = { requests: upstream.requests.length, loads: gate.loads(), slides: gate.slides() };
});

afterEach(() => {
  upstream.reset();
  gate.setStoreDown(false);
});

const askedUpstream = (): number => upstream.requests.length - before.requests;
describe('a signed-in call', () => {
  test('reaches the upstream with the user’s token and without the session cookie (BFF-07)', async () => {
    const answer = await call('/api/orders?page=2', { cookie });
    expect(answer).toMatchObject({ status: 200, body: '{"from":"upstream"}' });
    expect(upstream.last).toMatchObject({ method: 'GET', target: '/api/orders?page=2' });
    expect(upstream.last.headers).toMatchObject({ authorization: `Bearer ${accessToken}`, host: upstream.authority });
    expect(upstream.last.headers).not.toHaveProperty('cookie');
  });

  test('says who the client is, and by which way it came (PRX-05, PRX-07, BFF-19)', async () => {
    await call('/api', { cookie, headers: { 'x-forwarded-for': '6.6.6.6', via: '1.1 edge' } });
    expect(upstream.last.headers).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': gate.host,
      'x-forwarded-proto': 'http',
      via: expect.stringMatching(/^1\.1 edge, 1\.1 postern-[0-9a-f]{8}$/),
    });
    expect(upstream.last.headers['x-request-id']).toMatch(/^[\w-]{8,}$/);
  });

  test('is answered for this user alone, in an origin where nothing of it may run (HDR-02)', async () => {
    const { headers } = await call('/api', { cookie });
    expect(headers).toMatchObject({ 'cache-control': 'no-store', vary: 'Cookie', 'x-content-type-options': 'nosniff' });
    expect(headers['content-security-policy']).toContain("script-src 'none'");
  });

  test('gets the token that the route names (BFF-15)', async () => {
    await call('/id/x', { cookie });
    expect(upstream.last.headers.authorization).toBe(`Bearer ${idToken}`);
    await call('/bare/x', { cookie });
    expect(upstream.last.headers).not.toHaveProperty('authorization');
  });

  test('passes a redirect of the upstream on and does not follow it (BFF-16)', async () => {
    upstream.answer = (_, response) => void response.writeHead(302, { location: 'https://evil.example/' }).end();
    const answer = await call('/api', { cookie });
    expect(answer.status).toBe(302);
    expect(answer.headers.location).toBe('https://evil.example/');
    expect(askedUpstream()).toBe(1);
  });

  test('gets a 401 of the upstream without a password prompt of the browser (PRX-14)', async () => {
    upstream.answer = (_, response) =>
      void response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end('no');
    const answer = await call('/api', { cookie });
    expect(answer).toMatchObject({ status: 401, body: 'no' });
    expect(answer.headers).not.toHaveProperty('www-authenticate');
  });
});

describe('without a session no call is let through', () => {
  test('a required route answers 401, never a redirect, and the upstream hears nothing (PRX-20, RT-11)', async () => {
    const answer = await call('/api/orders');
    expect(answer).toMatchObject({ status: 401, problem: { code: 'session_required', loginUrl: '/bff/login' } });
    expect(answer.headers).not.toHaveProperty('location');
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(askedUpstream()).toBe(0);
    expect(gate.loads()).toBe(before.loads);
  });

  test('a bearer token, a token in the query or in a cookie is no session (RT-09)', async () => {
    const headers = { authorization: 'Bearer x', cookie: 'token=x; access_token=x' };
    expect((await call('/api?access_token=x', { headers })).status).toBe(401);
    expect(askedUpstream()).toBe(0);
  });

  test('a probe’s User-Agent opens nothing (RT-04)', async () => {
    for (const agent of ['GoogleHC/1.0', 'kube-probe/1.29', 'ELB-HealthChecker/2.0']) {
      expect((await call('/api', { headers: { 'user-agent': agent } })).status).toBe(401);
    }
    expect(askedUpstream()).toBe(0);
  });

  test('an ended session is told apart from none, and its cookie is not deleted', async () => {
    const ended = await gate.signIn();
    await gate.signOut(ended);
    const answer = await call('/api', { cookie: ended });
    expect(answer).toMatchObject({ status: 401, problem: { code: 'session_expired' } });
    expect(answer.headers).not.toHaveProperty('set-cookie');
    expect(askedUpstream()).toBe(0);
  });

  test('malformed cookies are no session, and nothing else (RT-10, CK-12, CK-13)', async () => {
    const { cookieName } = gate;
    const good = cookie.slice(cookieName.length + 1);
    const values = [
      '',
      '%',
      '%zz',
      's%3A',
      `${good}x`,
      good.slice(0, -1),
      good.toLowerCase(),
      'x'.repeat(8_000),
      '"',
      '\x80\xff',
      'j%3A%7B%7D',
    ];
    const headers = [
      ...values.map((value) => `${cookieName}=${value}`),
      cookieName,
      `${cookie}; ${cookie}`,
      `${cookie};${cookieName}=x`,
    ];
    for (const header of headers) {
      const answer = await call('/api', { cookie: header });
      expect([header.slice(0, 80), answer.status]).toEqual([header.slice(0, 80), 401]);
    }
    expect(askedUpstream()).toBe(0);
    expect(gate.loads()).toBe(before.loads);
  });
});

describe('an optional route', () => {
  test('lets a stranger through without a token and without asking the store', async () => {
    expect((await call('/optional/x')).status).toBe(200);
    expect(upstream.last.headers).not.toHaveProperty('authorization');
    expect(gate.loads()).toBe(before.loads);
  });

  test('sends the token of a session', async () => {
    const answer = await call('/optional/x', { cookie });
    expect(upstream.last.headers.authorization).toBe(`Bearer ${accessToken}`);
    expect(answer.headers).not.toHaveProperty('postern-session');
  });

  test('says when the session has ended, and goes on without it', async () => {
    const ended = await gate.signIn();
    await gate.signOut(ended);
    const answer = await call('/optional/x', { cookie: ended });
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'postern-session': 'ended', 'content-type': 'application/json' },
    });
    expect(upstream.last.headers).not.toHaveProperty('authorization');
  });

  test('is never silently anonymous when the store is away', async () => {
    gate.setStoreDown(true);
    const answer = await call('/optional/x', { cookie });
    expect(answer).toMatchObject({ status: 503, problem: { code: 'session_store_unavailable' } });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(askedUpstream()).toBe(0);
  });
});

describe('an open route', () => {
  test('never carries a token and never asks the store, even with a session (BFF-15)', async () => {
    gate.setStoreDown(true);
    expect((await call('/open/x', { cookie })).status).toBe(200);
    expect(upstream.last.headers).not.toHaveProperty('authorization');
    expect(upstream.last.headers).not.toHaveProperty('cookie');
    expect(gate.loads()).toBe(before.loads);
  });

  test('takes the route’s path off where it is told to', async () => {
    await call('/stripped/a/b?c=d');
    expect(upstream.last.target).toBe('/v1/a/b?c=d');
  });

  test('passes the cookies that the route names, both ways', async () => {
    upstream.answer = (_, response) =>
      void response
        .writeHead(200, { 'set-cookie': ['lang=de; Domain=example.com', `${gate.cookieName}=evil`, 'x=1'] })
        .end();
    const answer = await call('/cookies', { headers: { cookie: 'theme=dark; x=1' } });
    expect(upstream.last.headers.cookie).toBe('theme=dark');
    expect(answer.headers['set-cookie']).toEqual(['lang=de']);
  });
});

describe('a store outage is not a logout (SES-17, ST-04)', () => {
  test('503 with Retry-After, the cookie stays, and works again afterwards', async () => {
    gate.setStoreDown(true);
    const during = await call('/api', { cookie });
    expect(during).toMatchObject({ status: 503, problem: { code: 'session_store_unavailable' } });
    expect(Number(during.headers['retry-after'])).toBeGreaterThan(0);
    expect(during.headers).not.toHaveProperty('set-cookie');
    expect(askedUpstream()).toBe(0);
    gate.setStoreDown(false);
    expect((await call('/api', { cookie })).status).toBe(200);
  });
});

describe('methods', () => {
  test('a method that the route does not name is refused with those that it does (BFF-14)', async () => {
    const answer = await call('/api/read', { cookie, method: 'POST' });
    expect(answer).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
      problem: { code: 'method_not_allowed' },
    });
    expect(askedUpstream()).toBe(0);
  });

  test('TRACE and methods nobody knows are never passed on (PRX-12)', async () => {
    for (const method of ['TRACE', 'PROPFIND', 'PURGE']) {
      expect((await call('/open', { method })).status).toBe(405);
    }
    expect(askedUpstream()).toBe(0);
  });

  test('an upgrade to anything but WebSocket is refused and the connection closed (RT-12, WS-03)', async () => {
    for (const protocol of ['h2c', 'TLS/1.0']) {
      const head = `GET /open HTTP/1.1\r\nHost: ${gate.host}\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`;
      const { answers } = await exchange(gate.address, head);
      expect(answers.map(({ status }) => status)).toEqual([400]);
    }
    expect(askedUpstream()).toBe(0);
  });
});

describe('activity', () => {
  test('no call writes to the store while the session is fresh, and a quiet route never does', async () => {
    await call('/api', { cookie });
    await call('/api/quiet', { cookie });
    expect(gate.slides()).toBe(before.slides);
  });
});
