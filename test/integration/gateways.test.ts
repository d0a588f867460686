// Gateways that carry the bytes themselves and ask Postern about each call: the recipes of examples/gateways, in the real programs.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { startBehindGateway } from '../support/behind-gateway.ts';
import type { BehindGateway } from '../support/behind-gateway.ts';
import { describeOn } from '../support/describe-on.ts';
import { createCaller } from '../support/gate-call.ts';
import { freePort } from '../support/free-port.ts';
import { openEvents } from '../support/event-stream.ts';
import { gatewayKinds } from '../support/gateways.ts';
import type { GatewayKind } from '../support/gateways.ts';
import type { LocalPostern, Postern } from '../support/postern.ts';
import type { RealProvider } from '../support/real-provider.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { signIn } from '../support/signed-in.ts';
import { Client, handshakeBytes, openSocket } from '../support/socket-client.ts';
import type { HandshakeFields } from '../support/socket-client.ts';
import type { SocketUpstream } from '../support/socket-upstream.ts';
import { until } from '../support/until.ts';
import type { RecordingUpstream } from '../support/upstream.ts';

const fromOwnPage = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };

for (const kind of gatewayKinds) describeOn(`behind ${kind.name}`, kind.absence, () => claims(kind));

function claims(kind: GatewayKind): void {
  let behind: BehindGateway;
  let provider: RealProvider;
  let api: RecordingUpstream;
  let sockets: SocketUpstream;
  let postern: LocalPostern;
  let site: Postern;
  let alice: SignedIn;

  beforeAll(async () => {
    behind = await startBehindGateway(kind);
    ({ provider, api, sockets, postern, site } = behind);
    alice = await signIn(site, provider);
  }, 60_000);

  afterEach(() => {
    api.requests.length = 0;
    api.reset();
    sockets.handshakes.length = 0;
  });

  afterAll(() => behind.stop());

  const { call, open } = createCaller(() => ({ address: site.address, host: new URL(site.publicUrl).host }));

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
    const answer = await call('/api/orders');
    expect(answer).toMatchObject({ status: 401, problem: { code: 'session_required' } });
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store' });
    expect(answer.headers.location).toBeUndefined();
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
    expect(api.requests).toEqual([]);
  });

  test('a path with a second reading is refused, or decided about as it is sent (RT-05)', async () => {
    for (const path of ['/api//orders', '/api/x/%2e%2e/orders', '/api/x/../orders', '/api/orders%2f1']) {
      const { status } = await call(path, { cookie: alice.cookie });
      const outcome = status === 400 ? 'refused' : api.requests.at(-1)?.target;
      expect([path, outcome]).toEqual([path, expect.stringMatching(/^refused$|^\/api\/orders$/)]);
    }
    api.requests.length = 0;
    // Through a public route, or through what is Postern's own, to one that wants a session.
    for (const up of ['/../', '/%2e%2e/', '%2f..%2f', '/..%2f', '//../']) {
      for (const path of [`/api/health${up}orders`, `/bff${up}api/orders`]) {
        const { status } = await call(path);
        expect([path, status >= 400 && status < 500]).toEqual([path, true]);
      }
    }
    expect(api.requests).toEqual([]);
  });

  test('what a client says in the gateway’s words or in Authorization is not heard (HD-01)', async () => {
    const forged = {
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/api/health',
      'x-original-uri': '/api/health',
      'x-forwarded-for': '203.0.113.66',
      authorization: 'Bearer forged',
    };
    expect(await call('/api/orders', { headers: forged })).toMatchObject({ status: 401 });
    expect(api.requests).toEqual([]);
    expect(await call('/api/health', { headers: forged })).toMatchObject({ status: 200 });
    expect(api.requests[0]?.headers.authorization ?? '').toBe('');
    expect(JSON.stringify(api.requests[0]?.headers)).not.toContain('203.0.113.66');

    expect(await call('/api/orders', { cookie: alice.cookie, headers: forged })).toMatchObject({ status: 200 });
    const tokens = api.last.rawHeaders.filter(([name]) => name.toLowerCase() === 'authorization');
    expect(tokens).toEqual([[expect.anything(), expect.stringMatching(/^Bearer (?!forged)/)]]);
  });

  test('an optional route passes without a token, and a public one needs nothing', async () => {
    expect(await call('/api/catalog')).toMatchObject({ status: 200 });
    expect(await call('/api/health')).toMatchObject({ status: 200 });
    expect(api.requests.map(({ headers }) => headers.authorization ?? '')).toEqual(['', '']);
  });

  async function refusal(path: string, fields: HandshakeFields): Promise<number> {
    const client = new Client(site, handshakeBytes(site, path, fields));
    await until(() => client.answer.status > 0);
    client.socket.destroy();
    return client.answer.status;
  }

  test('a WebSocket opens with the token of its user, for nobody else, and on no route that has none (WS-01)', async () => {
    const path = '/api/live/room';
    expect(await refusal(path, {})).toBe(401);
    expect(await refusal(path, { Cookie: alice.cookie, Origin: 'https://evil.example' })).toBe(403);
    expect(await refusal('/api/orders', { Cookie: alice.cookie })).toBe(404);
    expect(sockets.handshakes).toEqual([]);

    const socket = await openSocket(site, path, { Cookie: alice.cookie });
    socket.send('hello');
    expect(await socket.heard(1)).toEqual(['echo hello']);
    expect(sockets.handshakes[0]?.headers.authorization).toMatch(/^Bearer .+/);
    expect(sockets.handshakes[0]?.headers.cookie ?? '').toBe('');
    socket.close();
    await socket.ended();
  });

  test.each<[string, string, HandshakeFields]>([
    ['another protocol', '/api/live/room', { Upgrade: 'h2c' }],
    ['another protocol', '/api/orders', { Upgrade: 'h2c', 'Sec-WebSocket-Key': undefined }],
    ['a handshake without its key', '/api/orders', { 'Sec-WebSocket-Key': undefined }],
  ])('%s on %s makes no tunnel to the API', async (_what, path, fields) => {
    const marks = { Cookie: alice.cookie, 'Sec-Fetch-Site': 'same-origin' };
    expect(await refusal(path, { ...marks, ...fields })).not.toBe(101);
    expect(sockets.handshakes).toEqual([]);
  });

  test('what an API sends piece by piece arrives piece by piece, and so do the events of a session', async () => {
    const { promise: over, resolve: end } = Promise.withResolvers<undefined>();
    api.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: first\n\n');
      void over.then(() => response.end('data: last\n\n'));
    };
    const pieces: string[] = [];
    for await (const piece of await open('/api/orders', { headers: { ...fromOwnPage, cookie: alice.cookie } })) {
      pieces.push(String(piece));
      end(undefined);
    }
    expect(pieces).toEqual(['data: first\n\n', 'data: last\n\n']);

    const bob = await signIn(site, provider, 'bob');
    const events = await openEvents(bob, site);
    await bob.call('/bff/logout', { method: 'POST' });
    expect((await events.heard('ended')).data).toMatchObject({ reason: 'logout' });
    events.abort();
  });

  test('while Postern is out of reach nothing passes, and nobody is logged out by it', async () => {
    const port = await freePort();
    const nobody = `127.0.0.1:${await freePort()}`;
    const places = { postern: new URL(postern.address).host, decisions: nobody, api: api.authority };
    const alone = await kind.start(port, places);
    try {
      const { call: ask } = createCaller(() => ({ address: `http://127.0.0.1:${port}`, host: `localhost:${port}` }));
      for (const path of ['/api/orders', '/api/health']) {
        const answer = await ask(path, { cookie: alice.cookie, headers: { authorization: 'Bearer forged' } });
        expect([path, answer.status >= 500]).toEqual([path, true]);
        expect(answer.headers['set-cookie']).toBeUndefined();
      }
      expect(api.requests).toEqual([]);
    } finally {
      await alone.stop();
    }
  });

  test('the public listener does not decide for anybody', async () => {
    const direct = await request(`${postern.address}/forward-auth`, {
      headers: {
        host: new URL(site.publicUrl).host,
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
    const bob = await signIn(site, provider, 'bob');
    expect(await call('/api/orders', { cookie: bob.cookie })).toMatchObject({ status: 200 });
    expect(await bob.call('/bff/logout', { method: 'POST' })).toMatchObject({ status: 200 });
    expect(await call('/api/orders', { cookie: bob.cookie })).toMatchObject({
      status: 401,
      problem: { code: 'session_expired' },
    });

    behind.redis.freeze();
    const away = await call('/api/orders', { cookie: alice.cookie });
    behind.redis.thaw();
    expect(away).toMatchObject({ status: 503, problem: { code: kind.outageCode ?? 'session_store_unavailable' } });
    expect(away.headers['retry-after']).toBeDefined();
    expect(away.headers['set-cookie']).toBeUndefined();
    await until(async () => (await call('/api/orders', { cookie: alice.cookie })).status === 200);
  });
}
