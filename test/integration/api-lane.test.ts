// One API call through the real listener, over real sockets, to a real upstream.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { accessToken, idToken, startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { eventually } from '../support/eventually.ts';
import { connect, exchange } from '../support/raw-client.ts';
import { HostileUpstream, RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
let hostile: HostileUpstream;
let react: Parameters<typeof HostileUpstream.start>[0];
let gate: Gate;
let cookie: string;

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  hostile = await HostileUpstream.start((socket) => react(socket));
  const timeout = { connect: '200ms', headers: '300ms', idle: '300ms' };
  gate = await startGate({
    routes: [
      { path: '/api', upstream: upstream.url },
      { path: '/api/read', upstream: upstream.url, methods: ['GET', 'HEAD'] },
      { path: '/api/quiet', upstream: upstream.url, activity: false },
      { path: '/optional', upstream: upstream.url, auth: 'optional' },
      { path: '/open', upstream: upstream.url, auth: 'none' },
      { path: '/id', upstream: upstream.url, token: 'id' },
      { path: '/bare', upstream: upstream.url, token: 'none' },
      { path: '/typed', upstream: upstream.url, csrf: { typedUrl: true } },
      { path: '/stripped', upstream: `${upstream.url}/v1`, auth: 'none', stripPath: true },
      { path: '/cookies', upstream: upstream.url, auth: 'none', cookies: { request: ['theme'], response: ['lang'] } },
      { path: '/hostile', upstream: hostile.url, auth: 'none', timeout },
      { path: '/impatient', upstream: upstream.url, auth: 'none', timeout },
      { path: '/closed', upstream: 'http://127.0.0.1:1', auth: 'none' },
      { path: '/nowhere', upstream: 'http://does-not-exist.invalid', auth: 'none' },
      { path: '/not-tls', upstream: hostile.url.replace('http:', 'https:'), auth: 'none', timeout },
    ],
  });
  cookie = await gate.signIn();
});

afterAll(async () => {
  await gate.stop();
  await upstream.stop();
  await hostile.stop();
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
      via: '1.1 edge, 1.1 postern',
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

describe('without a session', () => {
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
    expect(answer.headers['retry-after']).toBeDefined();
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
    expect(during.headers['retry-after']).toBeDefined();
    expect(during.headers).not.toHaveProperty('set-cookie');
    expect(askedUpstream()).toBe(0);
    gate.setStoreDown(false);
    expect((await call('/api', { cookie })).status).toBe(200);
  });
});

describe('only our own pages may use the session (CSRF-01…05, CS-01, CS-02)', () => {
  const origin = () => gate.publicUrl;
  const cases: [string, Record<string, string>, number][] = [
    ['same-origin by Fetch Metadata', { 'sec-fetch-site': 'same-origin' }, 200],
    ['same-site', { 'sec-fetch-site': 'same-site' }, 403],
    ['cross-site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['cross-site with our header', { 'sec-fetch-site': 'cross-site', 'x-csrf': '1' }, 403],
    ['a typed URL', { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }, 403],
    ['a foreign Origin', { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' }, 403],
    ['Origin null', { origin: 'null', 'x-csrf': '1' }, 403],
    ['no mark at all', {}, 403],
    ['no Fetch Metadata but the header', { 'x-csrf': '1' }, 200],
    ['the header with another value', { 'x-csrf': 'true' }, 403],
  ];

  test.each(cases)('%s', async (_, headers, status) => {
    const answer = await rawCall('/api', { headers: { cookie, ...headers } });
    expect(answer.status).toBe(status);
    expect(askedUpstream()).toBe(status === 200 ? 1 : 0);
    if (status === 403) expect(answer.problem).toMatchObject({ code: 'csrf_rejected' });
  });

  test('our own Origin is enough where a browser sends no Fetch Metadata', async () => {
    expect((await rawCall('/api', { method: 'POST', headers: { cookie, origin: origin() } })).status).toBe(200);
  });

  test('reading is no exception, nor is any body type that needs no preflight', async () => {
    for (const type of ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain', '']) {
      const headers = { cookie, 'sec-fetch-site': 'cross-site', ...(type === '' ? {} : { 'content-type': type }) };
      expect((await rawCall('/api', { method: 'POST', headers })).status).toBe(403);
    }
    expect(askedUpstream()).toBe(0);
  });

  test('it holds for open and optional routes as soon as the cookie is there, valid or not', async () => {
    for (const path of ['/open', '/optional']) {
      for (const value of [cookie, `${gate.cookieName}=x`]) {
        const answer = await rawCall(path, { headers: { cookie: value, 'sec-fetch-site': 'cross-site' } });
        expect(answer.status).toBe(403);
      }
    }
    expect((await rawCall('/open', { headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(200);
  });

  test('a typed URL passes where the route allows it', async () => {
    const headers = { cookie, 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    expect((await rawCall('/typed', { headers })).status).toBe(200);
    expect((await rawCall('/typed', { method: 'POST', headers })).status).toBe(403);
  });

  test('a preflight from elsewhere is refused, and nothing invites it (CSRF-06, CS-03, RT-14)', async () => {
    for (const foreign of ['https://evil.example', 'null', `${origin()}.evil.example`, origin().replace('//', '//x')]) {
      for (const path of ['/api', '/open']) {
        const headers = { origin: foreign, 'access-control-request-method': 'PUT' };
        const answer = await rawCall(path, { method: 'OPTIONS', headers });
        expect(answer.status).toBe(403);
        expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
      }
    }
    expect(askedUpstream()).toBe(0);
  });

  test('CORS headers of the upstream do not reach the browser (CSRF-07)', async () => {
    upstream.answer = (_, response) =>
      void response
        .writeHead(200, { 'access-control-allow-origin': '*', 'access-control-allow-credentials': 'true' })
        .end();
    const { headers } = await call('/api', { cookie });
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
  });

  test('refusals are counted', async () => {
    const count = async () => Number((await gate.metric('postern_csrf_rejections_total'))[0]?.split(' ')[1]);
    const earlier = await count();
    await rawCall('/api', { headers: { cookie, 'sec-fetch-site': 'cross-site' } });
    expect(await count()).toBe(earlier + 1);
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

  test('an upgrade is refused and the connection closed (RT-12, WS-03)', async () => {
    for (const protocol of ['websocket', 'h2c', 'TLS/1.0']) {
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

describe('bodies', () => {
  test('stream both ways unchanged, whatever is in them (PX-07, PRX-18)', async () => {
    const sent = randomBytes(3_000_000);
    upstream.answer = (_, response, body) => void response.writeHead(200, { 'content-encoding': 'x-odd' }).end(body);
    for (const chunked of [false, true]) {
      const answer = await call('/api/echo', { cookie, method: 'POST', body: sent, chunked });
      expect(digest(answer.bytes)).toBe(digest(sent));
      expect(digest(upstream.last.body)).toBe(digest(sent));
      expect(answer.headers['content-encoding']).toBe('x-odd');
    }
  });

  test('a body goes with any method, and no request without one gets one', async () => {
    for (const method of ['GET', 'DELETE', 'OPTIONS', 'PATCH', 'PUT']) {
      await call('/api', { cookie, method, body: Buffer.from('hello'), chunked: true });
      expect([method, upstream.last.method, upstream.last.body.toString()]).toEqual([method, method, 'hello']);
      await call('/api', { cookie, method });
      expect([method, upstream.last.body.toString()]).toEqual([method, '']);
    }
  });

  test('HEAD, 204 and 304 have no body and leave the connection in order (PRX-17)', async () => {
    upstream.answer = (request, response) => {
      const status = Number(request.url?.split('/').pop());
      response
        .writeHead(status, { etag: '"x"', ...(request.method === 'HEAD' ? { 'content-length': '5' } : {}) })
        .end();
    };
    for (const [method, status] of [
      ['HEAD', 200],
      ['GET', 204],
      ['GET', 304],
      ['HEAD', 404],
    ] as const) {
      const answer = await call(`/api/${status}`, { cookie, method });
      expect(answer).toMatchObject({ status, body: '', headers: { etag: '"x"' } });
      expect(answer.headers['content-length']).toBe(method === 'HEAD' ? '5' : undefined);
    }
  });

  test('interim answers are not passed on, and the final one is (PRX-17)', async () => {
    upstream.answer = (_, response) => {
      response.writeEarlyHints({ link: '</x>; rel=preload' });
      response.writeProcessing();
      response.end('done');
    };
    const { answers } = await exchange(
      gate.address,
      `GET /open HTTP/1.1\r\nHost: ${gate.host}\r\nConnection: close\r\n\r\n`,
    );
    expect(answers.map(({ status, body }) => [status, body])).toEqual([[200, 'done']]);
  });

  test('the first bytes of an answer do not wait for the last', async () => {
    let finish = (): void => undefined;
    upstream.answer = (_, response) => {
      response.write('first');
      finish = () => void response.end('last');
    };
    const response = await open('/open');
    const chunks: string[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
    await eventually(() => chunks.join('') === 'first');
    finish();
    await eventually(() => chunks.join('') === 'firstlast' && response.complete);
  });

  test('a slow upload outlives the time limit for the answer’s head, which counts from its last byte', async () => {
    async function* slowly() {
      for (let part = 0; part < 5; part += 1) {
        yield Buffer.from('x');
        await new Promise((resolve) => setTimeout(resolve, 120));
      }
    }
    const answer = await call('/impatient', { method: 'POST', stream: Readable.from(slowly()) });
    expect(answer.status).toBe(200);
    expect(upstream.last.body.toString()).toBe('xxxxx');
  });
});

describe('when the upstream fails (PRX-09, PRX-15, PX-08, SEC-04)', () => {
  const badUpstreams: [string, typeof react, number, string][] = [
    ['closes before it answers', (socket) => socket.destroy(), 502, 'upstream_unreachable'],
    ['resets', (socket) => socket.resetAndDestroy(), 502, 'upstream_unreachable'],
    [
      'closes in the middle of the head',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-'),
      502,
      'upstream_unreachable',
    ],
    ['speaks HTTP/0.9', (socket) => socket.end('<html>hello</html>'), 502, 'upstream_invalid'],
    ['gives a malformed status', (socket) => socket.end('HTTP/1.1 OK\r\n\r\n'), 502, 'upstream_invalid'],
    [
      'gives two different lengths',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'),
      502,
      'upstream_invalid',
    ],
    [
      'gives a length and chunks',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
      502,
      'upstream_invalid',
    ],
    ['has a NUL in a header', (socket) => socket.end('HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n'), 502, 'upstream_invalid'],
    [
      'has an endless head',
      (socket) => socket.end(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`),
      502,
      'upstream_invalid',
    ],
    [
      'switches protocols unasked',
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
      502,
      'upstream_invalid',
    ],
    [
      'has a status below 100',
      (socket) => socket.end('HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n'),
      502,
      'upstream_invalid',
    ],
    ['never answers', () => undefined, 504, 'upstream_timeout'],
  ];

  test.each(badUpstreams)('one that %s', async (_, reaction, status, code) => {
    react = reaction;
    const answer = await call('/hostile/x?secret=1');
    expect(answer).toMatchObject({ status, problem: { code, status } });
    expect(answer.body).not.toMatch(/127\.0\.0\.1|secret|ECONN|HPE|\bat \//);
  });

  test('one that nobody listens at, or whose name does not exist', async () => {
    expect(await call('/closed')).toMatchObject({ status: 502, problem: { code: 'upstream_unreachable' } });
    expect(await call('/nowhere')).toMatchObject({ status: 502, problem: { code: 'upstream_unreachable' } });
  });

  test('one that is no TLS server, or never finishes the handshake, within the time for connecting', async () => {
    react = (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    expect(await call('/not-tls')).toMatchObject({ status: 502, problem: { code: 'upstream_unreachable' } });
    react = () => undefined;
    expect(await call('/not-tls')).toMatchObject({ status: 504, problem: { code: 'upstream_timeout' } });
  });

  test('failures are counted by route and logged without the query', async () => {
    react = (socket) => socket.destroy();
    await call('/hostile/x?secret=1');
    expect(await gate.metric('postern_upstream_errors_total')).toContainEqual(
      expect.stringContaining('http_route="/hostile",code="upstream_unreachable"'),
    );
    expect(gate.log.join('')).not.toContain('secret=1');
  });

  test('an answer that is cut short does not look whole', async () => {
    react = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', () => socket.destroy());
    };
    const { text } = await exchange(gate.address, `GET /hostile HTTP/1.1\r\nHost: ${gate.host}\r\n\r\n`);
    expect(text).toContain('hello');
    expect(text).not.toMatch(/0\r\n\r\n$/);
    react = (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', () => socket.destroy());
    await expect(call('/hostile')).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  });

  test('an answer that falls silent is cut at the idle limit', async () => {
    react = (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
    await expect(call('/hostile')).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  });

  test('the connection of the client is good for the next request, even with half a body unsent', async () => {
    const next = `GET /open HTTP/1.1\r\nHost: ${gate.host}\r\nConnection: close\r\n\r\n`;
    const upload = `POST /closed HTTP/1.1\r\nHost: ${gate.host}\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1_000_000)}`;
    const { answers } = await exchange(gate.address, upload + next);
    expect(answers.map(({ status }) => status)).toEqual([502, 200]);
  });

  test('an answer that comes before the whole body has been read is passed on', async () => {
    upstream.answerEarly = true;
    upstream.answer = (_, response) => void response.writeHead(413).end('too much');
    const answer = await call('/open', { method: 'POST', body: Buffer.alloc(200_000), chunked: false });
    expect(answer).toMatchObject({ status: 413, body: 'too much' });
  });
});

describe('when the client goes away (PX-09, PRX-16)', () => {
  test('the upstream’s request is cancelled, before and during its answer', async () => {
    for (const begin of [false, true]) {
      upstream.answer = (_, response) => {
        if (begin) response.write('x');
      };
      const earlier = { aborted: upstream.aborted, asked: upstream.requests.length };
      const socket = connect(gate.address);
      socket.on('error', () => undefined);
      socket.write(`GET /open HTTP/1.1\r\nHost: ${gate.host}\r\n\r\n`);
      if (begin) await once(socket, 'data');
      else await eventually(() => upstream.requests.length === earlier.asked + 1);
      socket.destroy();
      await eventually(() => upstream.aborted === earlier.aborted + 1);
    }
  });

  test('200 clients that hang up leave no connection behind', async () => {
    upstream.answer = () => undefined;
    const sockets = Array.from({ length: 200 }, () => {
      const socket = connect(gate.address);
      socket.on('error', () => undefined);
      socket.write(`GET /open HTTP/1.1\r\nHost: ${gate.host}\r\n\r\n`);
      return socket;
    });
    await eventually(() => askedUpstream() === 200);
    for (const socket of sockets) socket.destroy();
    await eventually(async () => (await upstream.openConnections()) < 20);
  });
});

test('500 calls at once each carry their own token, over connections that are used again (PX-05)', async () => {
  await Promise.all(Array.from({ length: 500 }, () => call('/api', { cookie })));
  const received = upstream.requests.slice(before.requests);
  expect(received).toHaveLength(500);
  expect(new Set(received.map(({ headers }) => headers.authorization))).toEqual(new Set([`Bearer ${accessToken}`]));
  await call('/api', { cookie });
  await call('/api', { cookie });
  const ports = upstream.requests.slice(-2).map(({ remotePort }) => remotePort);
  expect(received.map(({ remotePort }) => remotePort)).toEqual(expect.arrayContaining(ports));
});

interface CallOptions {
  method?: string;
  cookie?: string;
  headers?: Record<string, string>;
  body?: Buffer;
  chunked?: boolean;
  stream?: Readable;
}

interface CallAnswer {
  status: number;
  headers: IncomingMessage['headers'];
  bytes: Buffer;
  body: string;
  problem: unknown;
}

/** A call as the app's own script makes it. */
function call(path: string, options: CallOptions = {}): Promise<CallAnswer> {
  const { cookie: session, headers = {}, ...rest } = options;
  const marks = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };
  return rawCall(path, {
    ...rest,
    headers: { ...marks, ...(session === undefined ? {} : { cookie: session }), ...headers },
  });
}

async function rawCall(path: string, options: CallOptions = {}): Promise<CallAnswer> {
  const response = await open(path, options);
  const bytes = await buffer(response);
  const body = bytes.toString();
  const isProblem = response.headers['content-type']?.startsWith('application/problem+json') === true && body !== '';
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    bytes,
    body,
    problem: isProblem ? JSON.parse(body) : undefined,
  };
}

function open(
  path: string,
  { method = 'GET', headers = {}, body, chunked = false, stream }: CallOptions = {},
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const framing =
    stream !== undefined || chunked
      ? { 'transfer-encoding': 'chunked' }
      : { 'content-length': String(body?.length ?? 0) };
  const options: RequestOptions = {
    method,
    headers: { host: gate.host, ...((body ?? stream) ? framing : {}), ...headers },
    agent: false,
  };
  const request = httpRequest(gate.address + path, options, resolve);
  request.on('error', reject);
  if (stream === undefined) request.end(body);
  else stream.pipe(request);
  return promise;
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
