// How much is let through at once: what goes beyond is told so immediately, and what ends makes room.
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createCaller } from '../support/gate-call.ts';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { connect } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
let elsewhere: RecordingUpstream;
let gate: Gate;
const { call, open } = createCaller(() => gate);

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  elsewhere = await RecordingUpstream.start();
  gate = await startGate({
    routes: [
      { path: '/api', upstream: upstream.url, auth: 'optional' },
      { path: '/same', upstream: `${upstream.url}/v2`, auth: 'none' },
      { path: '/else', upstream: elsewhere.url, auth: 'none' },
      { path: '/secure', upstream: upstream.url.replace('http:', 'https:'), auth: 'none' },
      { path: '/impatient', upstream: upstream.url, auth: 'none', timeout: { headers: '200ms' } },
    ],
    limits: { upstreamRequests: 3, sessionRequests: { count: 4, per: '1h' } },
  });
});

afterAll(async () => {
  await gate.stop();
  await upstream.stop();
  await elsewhere.stop();
});

async function shedAt(route: string, code: string): Promise<number> {
  const [line = '0'] = await gate.metric(`postern_requests_shed_total{http_route="${route}",code="${code}"}`);
  return Number(line.split(' ').pop());
}

describe('requests under way at one upstream', () => {
  let waiting: ServerResponse[];
  let before = 0;

  beforeEach(() => {
    waiting = [];
    before = upstream.requests.length;
    upstream.answer = (_, response) => void waiting.push(response);
  });

  afterEach(() => upstream.reset());

  const isFull = (count = 3): Promise<void> => until(() => waiting.length === count);

  test('beyond the limit get 503 at once, over whichever route, and those at another upstream do not', async () => {
    const shedBefore = await shedAt('/same', 'overloaded');
    const held = [open('/api'), open('/same'), open('/api')];
    await isFull();
    for (const path of ['/api', '/same', '/impatient']) {
      const answer = await call(path, { method: 'POST', body: Buffer.alloc(100_000) });
      expect(answer).toMatchObject({ status: 503, problem: { code: 'overloaded' } });
      expect(answer.headers['retry-after']).toBe('1');
    }
    expect((await call('/else')).status).toBe(200);
    // Another scheme is another server; this one speaks no TLS.
    expect((await call('/secure')).status).toBe(502);
    expect(upstream.requests.length - before).toBe(3);
    for (const response of waiting) response.end();
    for (const response of await Promise.all(held)) await once(response.resume(), 'close');
    expect(await shedAt('/same', 'overloaded')).toBe(shedBefore + 1);
  });

  test('make room however they end: answered, cut, given up, left by the client', async () => {
    const ends: [string, () => unknown][] = [
      ['answered', () => waiting.splice(0).forEach((response) => response.end())],
      ['cut before the answer', () => waiting.splice(0).forEach((response) => response.destroy())],
      ['cut within it', () => waiting.splice(0).forEach((response) => response.write('x', () => response.destroy()))],
      ['left', () => clients.splice(0).forEach((client) => client.destroy())],
    ];
    let clients: ReturnType<typeof connect>[] = [];
    for (const [, end] of ends) {
      clients = Array.from({ length: 3 }, () => {
        const client = connect(gate.address);
        client.on('error', () => undefined).resume();
        client.write(`GET /same HTTP/1.1\r\nHost: ${gate.host}\r\n\r\n`);
        return client;
      });
      await isFull();
      expect((await call('/same')).status).toBe(503);
      end();
      upstream.reset();
      await until(async () => {
        const answers = await Promise.all([call('/same'), call('/same'), call('/same')]);
        return answers.every(({ status }) => status === 200);
      });
      for (const client of clients) client.destroy();
      waiting = [];
      upstream.answer = (_, response) => void waiting.push(response);
    }
    await Promise.all([call('/impatient'), call('/impatient'), call('/impatient')]);
    upstream.reset();
    expect((await call('/same')).status).toBe(200);
  });
});

describe('calls of one session in a span of time (BFF-19, DL-16)', () => {
  test('beyond its share get 429 and when to come back; other sessions and strangers are not counted with it', async () => {
    const [alice, bob] = [await gate.signIn(), await gate.signIn()];
    const asked = upstream.requests.length;
    for (let round = 1; round <= 4; round += 1) expect((await call('/api', { cookie: alice })).status).toBe(200);
    const refused = await call('/api', { cookie: alice, method: 'POST', body: Buffer.alloc(100_000) });
    expect(refused).toMatchObject({ status: 429, problem: { code: 'rate_limited' } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(3_000);
    expect(upstream.requests.length - asked).toBe(4);
    expect((await call('/api', { cookie: bob })).status).toBe(200);
    for (let round = 1; round <= 6; round += 1) expect((await call('/api')).status).toBe(200);
    expect(await shedAt('/api', 'rate_limited')).toBe(1);
  });
});
