// The cross-site rule on proxied routes: another site gets nothing out of this browser's session.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { createCaller } from '../support/gate-call.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
let gate: Gate;
let cookie: string;
const { call, rawCall } = createCaller(() => gate);

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  gate = await startGate({
    routes: [
      { path: '/api', upstream: upstream.url },
      { path: '/optional', upstream: upstream.url, auth: 'optional' },
      { path: '/open', upstream: upstream.url, auth: 'none' },
      { path: '/typed', upstream: upstream.url, csrf: { typedUrl: true } },
    ],
  });
  cookie = await gate.signIn();
});

afterAll(async () => {
  await gate.stop();
  await upstream.stop();
});

afterEach(() => {
  upstream.reset();
  upstream.requests.length = 0;
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
    expect(upstream.requests.length).toBe(status === 200 ? 1 : 0);
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
    expect(upstream.requests.length).toBe(0);
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
    expect(upstream.requests.length).toBe(0);
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
