// Spans, as a collector receives them from a Postern in a process of its own; and traceparent, with and without them (W3C Trace Context).
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Browser } from '../support/browser.ts';
import { logIn } from '../support/browser-login.ts';
import { freePort } from '../support/free-port.ts';
import { findings, secretsOf } from '../support/leak-sweep.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import { baseConfig, newSessionKey, register, startPosternProcess } from '../support/postern.ts';
import type { PosternProcess } from '../support/postern.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { startSpanCollector } from '../support/span-collector.ts';
import type { ReceivedSpan } from '../support/span-collector.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';
import type { ReceivedRequest } from '../support/upstream.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const parentId = '00f067aa0ba902b7';
const traceparent = `00-${traceId}-${parentId}-01`;

interface Journey {
  browser: Browser;
  api: { host: string; last: ReceivedRequest; requests: ReceivedRequest[] };
  postern: PosternProcess;
  secrets: string[];
}

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-tracing-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Login, a call whose token has expired, and a call in a trace of the browser's, in a process with these variables; gives what it knew when it has ended. */
async function travel(env: Record<string, string>): Promise<Journey> {
  const [op, api, port] = await Promise.all([startMisbehavingProvider(), RecordingUpstream.start(), freePort()]);
  Object.assign(op.does, { tokenResponse: { expires_in: 1 }, refreshResponse: { expires_in: 300 } });
  const key = newSessionKey();
  const envFile = join(directory, `${port}.env`);
  await writeFile(
    envFile,
    Object.entries(env)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const postern = await startPosternProcess(
    baseConfig(port, op, {
      session: { keys: [key] },
      shutdown: { delay: '0s' },
      routes: [{ path: '/api', upstream: api.url }],
    }),
    [`--env-file=${envFile}`],
  );
  try {
    register(op, postern.publicUrl);
    const browser = new Browser(postern);
    await logIn(browser, { issuer: op.issuer, visit: (url: URL) => op.authorize(url) });
    await until(async () => {
      await browser.fetch('/api/waits');
      return op.endpoints.seen('token', 'refresh_token').length > 0;
    });
    await browser.fetch('/api/traced?secret=QUERY-CANARY', { headers: { traceparent, tracestate: 'vendor=1' } });
    const { everywhere, elsewhere } = secretsOf({ op } as RelyingParty, browser, [key]);
    const { last, requests } = api;
    return {
      browser,
      api: { host: new URL(api.url).host, last, requests },
      postern,
      secrets: [...everywhere, ...elsewhere, 'QUERY-CANARY'],
    };
  } finally {
    await postern.stop();
    await Promise.all([api.stop(), op.close()]);
  }
}

describe('with an OTLP endpoint in the environment', () => {
  let spans: ReceivedSpan[];
  let received: string[];
  let journey: Journey;

  beforeAll(async () => {
    const collector = await startSpanCollector();
    journey = await travel({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SERVICE_NAME: 'shop-bff' });
    ({ spans, received } = collector);
    await collector.stop();
  });

  const childrenOf = ({ spanId }: ReceivedSpan): ReceivedSpan[] => spans.filter((span) => span.parentSpanId === spanId);

  test('a request in somebody’s trace is a span of it, and the upstream hears of the span of the call', () => {
    const server = spans.find((span) => span.traceId === traceId && span.kind === 2)!;
    expect(server).toMatchObject({
      name: 'GET /api',
      parentSpanId: parentId,
      attributes: { 'http.route': '/api', 'http.response.status_code': 200, 'postern.request_id': expect.any(String) },
    });
    const [call] = childrenOf(server).filter((span) => span.kind === 3);
    expect(call).toMatchObject({ name: 'GET', attributes: { 'server.address': journey.api.host } });
    expect(journey.api.last.headers).toMatchObject({
      traceparent: `00-${traceId}-${call!.spanId}-01`,
      tracestate: 'vendor=1',
    });
    const line = journey.postern.output.findLast((line) => line.includes('"/api/traced"'))!;
    expect(JSON.parse(line)).toMatchObject({ trace_id: traceId });
  });

  test('the session, the refresh and its writing are spans of the request that met the expired token', () => {
    const refresh = spans.find(({ name }) => name === 'provider refresh')!;
    const server = spans.find(({ spanId }) => spanId === refresh.parentSpanId)!;
    expect(server).toMatchObject({ name: 'GET /api', kind: 2 });
    const names = childrenOf(server).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['store begin', 'provider refresh', 'store commit', 'GET']));
    expect(spans.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'GET /bff/login',
        'GET /bff/callback',
        'provider finishLogin',
        'store put',
        'store load',
      ]),
    );
  });

  test('a request without a trace begins one, and it is in the log', () => {
    const login = spans.find(({ name }) => name === 'GET /bff/login')!;
    expect(login.parentSpanId ?? '').toBe('');
    const line = journey.postern.output.find((line) => line.includes('"/bff/login"'))!;
    expect(JSON.parse(line)).toMatchObject({ trace_id: login.traceId });
  });

  test('spans go out under the service’s name, and hold no secret, no path and no query (LOGS-01, TK-02)', () => {
    expect(spans.length).toBeGreaterThan(8);
    expect(received.join('\n')).toContain('shop-bff');
    expect(findings([...journey.secrets, '/api/traced', '/api/waits'], { spans: received })).toEqual([]);
  });
});

describe('without one', () => {
  test('traceparent and tracestate go through untouched, and a call without them gets none', async () => {
    const { api } = await travel({ OTEL_SERVICE_NAME: 'shop-bff' });
    expect(api.last.headers).toMatchObject({ traceparent, tracestate: 'vendor=1' });
    const others = api.requests.filter((request) => request !== api.last);
    expect(others.length).toBeGreaterThan(0);
    expect(others.filter(({ headers }) => 'traceparent' in headers)).toEqual([]);
  });
});

describe('an endpoint that is not there', () => {
  test('is said once, and nothing else suffers', async () => {
    const { postern } = await travel({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
    });
    expect(postern.output.filter((line) => line.includes('spans cannot be sent'))).toHaveLength(1);
    expect(await postern.exitCode).toBe(0);
  });
});
