// Gateways that carry the bytes themselves and ask Postern about each call: the recipes of examples/gateways, in the real programs.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { createCaller } from '../support/gate-call.ts';
import { freePort } from '../support/free-port.ts';
import type { Gateway } from '../support/gateways.ts';
import { gatewayKinds } from '../support/gateways.ts';
import type { LocalPostern } from '../support/postern.ts';
import { startPostern } from '../support/postern.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRedis } from '../support/redis.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { signIn } from '../support/signed-in.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

const fromOwnPage = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };

describe.each(gatewayKinds)('behind $name', (kind) => {
  let provider: RealProvider;
  let redis: RedisServer;
  let api: RecordingUpstream;
  let postern: LocalPostern;
  let gateway: Gateway;
  let alice: SignedIn;

  beforeAll(async () => {
    const port = await freePort();
    [provider, redis, api] = await Promise.all([startRealProvider(), startRedis(), RecordingUpstream.start()]);
    postern = await startPostern(provider, {
      publicUrl: `http://localhost:${port}`,
      listen: '127.0.0.1:0',
      forwardAuth: { listen: '127.0.0.1:0' },
      trustedProxies: ['127.0.0.1'],
      redis: { url: redis.url },
      // Each decision asks the store, so that an outage shows at once.
      session: { keys: [randomBytes(32).toString('base64')], nearCache: { enabled: false } },
      routes: [
        { path: '/api', upstream: api.url },
        { path: '/api/reports', upstream: api.url, methods: ['GET'] },
        { path: '/api/health', upstream: api.url, auth: 'none' },
        { path: '/api/catalog', upstream: api.url, auth: 'optional' },
      ],
    });
    gateway = await kind.start(port, {
      postern: new URL(postern.address).host,
      decisions: new URL(postern.forwardAuthUrl ?? '').host,
      api: api.authority,
    });
    alice = await signIn(postern, provider);
  });

  afterEach(() => {
    api.requests.length = 0;
  });

  afterAll(async () => {
    await gateway.stop();
    await postern.stop();
    await Promise.all([redis[Symbol.asyncDispose](), provider.close(), api.stop()]);
  });

  const { call } = createCaller(() => ({
    address: gateway.url.replace('localhost', '127.0.0.1'),
    host: new URL(gateway.url).host,
  }));

  test('a call of a signed-in user reaches the API whole, with the access token and without the cookie (BFF-12, PRX-06)', async () => {
    const body = randomBytes(300_000);
    const answer = await call('/api/orders?page=2', { method: 'POST', cookie: alice.cookie, body });
    expect(answer.status).toBe(200);
    expect(api.requests).toHaveLength(1);
    const [received] = api.requests;
    expect(received).toMatchObject({ method: 'POST', target: '/api/orders?page=2' });
    expect(received?.headers.authorization).toMatch(/^Bearer .+/);
    expect(received?.headers.cookie ?? '').toBe('');
    expect(received?.body.equals(body)).toBe(true);
    expect(JSON.stringify(answer.headers)).not.toContain('Bearer');
  });

  test('without a session the app gets 401 and its code, and the API hears of nothing', async () => {
    expect(await call('/api/orders')).toMatchObject({ status: 401, problem: { code: 'session_required' } });
    expect(api.requests).toEqual([]);
  });

  test('a call from another site is refused, with the cookie and all (CSRF-02)', async () => {
    const headers = { cookie: alice.cookie, 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' };
    expect(await call('/api/orders', { headers })).toMatchObject({ status: 403, problem: { code: 'csrf_rejected' } });
    expect(api.requests).toEqual([]);
  });

  test('every other refusal keeps its status and code', async () => {
    const wrongMethod = await call('/api/reports/1', { method: 'POST', cookie: alice.cookie });
    expect(wrongMethod).toMatchObject({
      status: 405,
      problem: { code: 'method_not_allowed' },
      headers: { allow: 'GET' },
    });
    // Wherever the gateway itself does not refuse them.
    for (const path of ['/api//orders', '/api/x/%2e%2e/orders', '/api/orders%2f1']) {
      expect([path, (await call(path, { cookie: alice.cookie })).status]).toEqual([path, 400]);
    }
    expect(api.requests).toEqual([]);
  });

  test('what a client says in the gateway’s words or in Authorization is not heard (HD-01)', async () => {
    const forged = {
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/api/health',
      'x-original-uri': '/api/health',
      authorization: 'Bearer forged',
    };
    expect(await call('/api/orders', { headers: forged })).toMatchObject({ status: 401 });
    expect(api.requests).toEqual([]);
    expect(await call('/api/health', { headers: forged })).toMatchObject({ status: 200 });
    expect(api.requests[0]?.headers.authorization ?? '').toBe('');
  });

  test('an optional route passes without a token, and a public one needs nothing', async () => {
    expect(await call('/api/catalog')).toMatchObject({ status: 200 });
    expect(await call('/api/health')).toMatchObject({ status: 200 });
    expect(api.requests.map(({ headers }) => headers.authorization ?? '')).toEqual(['', '']);
  });

  test('the public listener does not decide for anybody', async () => {
    const direct = await request(`${postern.address}/forward-auth`, {
      headers: {
        host: new URL(gateway.url).host,
        cookie: alice.cookie,
        'x-forwarded-method': 'GET',
        'x-forwarded-uri': '/api/orders',
        ...fromOwnPage,
      },
    });
    await direct.body.dump();
    expect(direct.statusCode).toBe(404);
    expect(direct.headers.authorization).toBeUndefined();
    const through = await call('/forward-auth', { cookie: alice.cookie });
    expect(through.headers.authorization).toBeUndefined();
  });

  test('a logout holds for the next call, and an outage of the store is a 503 that keeps the cookie (SES-08, SES-17)', async () => {
    const bob = await signIn(postern, provider, 'bob');
    expect(await call('/api/orders', { cookie: bob.cookie })).toMatchObject({ status: 200 });
    expect(await bob.call('/bff/logout', { method: 'POST' })).toMatchObject({ status: 200 });
    expect(await call('/api/orders', { cookie: bob.cookie })).toMatchObject({
      status: 401,
      problem: { code: 'session_expired' },
    });

    redis.freeze();
    const away = await call('/api/orders', { cookie: alice.cookie });
    redis.thaw();
    expect(away).toMatchObject({ status: 503, problem: { code: 'session_store_unavailable' } });
    expect(away.headers['retry-after']).toBeDefined();
    expect(away.headers['set-cookie']).toBeUndefined();
    await until(async () => (await call('/api/orders', { cookie: alice.cookie })).status === 200);
  });
});
