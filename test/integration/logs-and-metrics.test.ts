// What operators see of one deployment: the line of each request, the audit events, and series that no stranger can multiply.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';

import { createLogger, moduleLog, setLevels } from '../../src/telemetry/log.ts';

import type { Browser } from '../support/browser.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { until } from '../support/until.ts';

let party: RelyingParty;

beforeAll(async () => {
  party = await startRelyingParty({
    config: (_op, api) => ({
      routes: [
        { path: '/api', upstream: api.url },
        { path: '/closed', upstream: 'http://127.0.0.1:9' },
        { path: '/ruled', upstream: api.url, require: { role: ['admin'] } },
      ],
    }),
  });
});
afterAll(async () => {
  await party[Symbol.asyncDispose]();
});

type Line = Record<string, unknown>;

const lines = (): Line[] => party.postern.log.map((line) => JSON.parse(line) as Line);
const events = (event: string): Line[] => lines().filter((line) => line['event'] === event);
const requestLine = async (path: string): Promise<Line> => {
  const find = (): Line | undefined => lines().findLast((line) => line['msg'] === 'request' && line['path'] === path);
  await until(() => find() !== undefined);
  return find()!;
};

describe('the line of a request', () => {
  test('names its route, its request, its trace, and how long the upstream took (LOGS-02)', async () => {
    const browser = await party.signedInBrowser();
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    await browser.fetch('/api/traced', { headers: { traceparent: `00-${trace}-00f067aa0ba902b7-01` } });
    expect(await requestLine('/api/traced')).toMatchObject({
      module: 'requests',
      requestId: expect.any(String),
      trace_id: trace,
      method: 'GET',
      route: '/api',
      status: 200,
      client: '127.0.0.1',
      upstreamMs: expect.any(Number),
    });
  });

  test('says how long the call waited for its session and for new tokens, and nothing where it did not wait', async () => {
    const { op } = party;
    Object.assign(op.does, { tokenResponse: { expires_in: 1 }, refreshResponse: { expires_in: 300 } });
    const browser = await party.signedInBrowser();
    const seen = (): number => op.endpoints.seen('token', 'refresh_token').length;
    const before = seen();
    const count = async (name: string): Promise<number> =>
      Number((await party.postern.metric(name))[0]?.split(' ')[1] ?? 0);
    const refreshed = 'postern_token_refresh_duration_seconds_count{outcome="refreshed"}';
    const counts = [await count('postern_token_refresh_wait_seconds_count'), await count(refreshed)];
    await until(async () => {
      await browser.fetch('/api/waits');
      return seen() > before;
    });
    await browser.fetch('/api/at-hand');
    await requestLine('/api/at-hand');
    const waited = lines().filter((line) => line['path'] === '/api/waits' && 'tokenMs' in line);
    expect(waited).toHaveLength(1);
    expect(waited[0]).toMatchObject({ tokenMs: expect.any(Number), upstreamMs: expect.any(Number) });
    expect(await requestLine('/api/at-hand')).not.toHaveProperty('tokenMs');
    expect([await count('postern_token_refresh_wait_seconds_count'), await count(refreshed)]).toEqual(
      counts.map((earlier) => earlier + 1),
    );
    Object.assign(op.does, { tokenResponse: {}, refreshResponse: {} });
  });
});

describe('audit events', () => {
  test('a login and a logout are told with the session’s handle, who asked and from where (LOGS-02)', async () => {
    const browser = await party.signedInBrowser();
    const login = events('login').at(-1)!;
    expect(login).toEqual({
      time: expect.any(String),
      level: 'info',
      module: 'audit',
      event: 'login',
      requestId: expect.any(String),
      client: '127.0.0.1',
      handle: await handleOf(browser),
      issuer: party.op.issuer,
      msg: 'login',
    });
    await browser.fetch('/bff/logout', { method: 'POST' });
    const { handle, issuer } = login;
    expect(events('logout').at(-1)).toMatchObject({ handle, client: '127.0.0.1' });
    expect(events('session_ended').at(-1)).toMatchObject({ handle, issuer, reason: 'logout' });
  });

  test('a login that fails is told with why (LOGS-02)', async () => {
    const { op } = party;
    Object.assign(op.does, { idToken: { nonce: 'another' } });
    await party.logIn(party.openBrowser());
    Object.assign(op.does, { idToken: {} });
    const [requestId, client] = [expect.any(String), '127.0.0.1'];
    const failed = { requestId, client, reason: 'invalid', issuer: op.issuer, level: 'warn' };
    expect(events('login_failed').at(-1)).toMatchObject(failed);
    await party.openBrowser().step('/bff/callback?code=x&state=y');
    expect(events('login_failed').at(-1)).toMatchObject({ reason: 'unknown' });
  });

  test('a refresh that fails is told with the session and the provider’s error, and so is the end of the session (LOGS-02)', async () => {
    const { op } = party;
    Object.assign(op.does, { tokenResponse: { expires_in: 1 } });
    const browser = await party.signedInBrowser();
    const handle = await handleOf(browser);
    op.endpoints.behaviours.token.fail({ error: 'invalid_grant' }, 1);
    await until(async () => (await browser.fetch('/api/x')).status === 401);
    Object.assign(op.does, { tokenResponse: {} });
    expect(events('refresh_failed').at(-1)).toMatchObject({ handle, issuer: op.issuer, reason: 'invalid_grant' });
    expect(events('session_ended').at(-1)).toMatchObject({ handle, reason: 'revoked' });
  });

  test('what another site tries, and what a rule refuses, are told with route and client (LOGS-02)', async () => {
    const browser = await party.signedInBrowser();
    await browser.fetch('/api/x', { headers: { 'sec-fetch-site': 'cross-site' } });
    await browser.fetch('/ruled/x');
    await until(() => events('access_denied').length > 0);
    const requestId = expect.any(String);
    expect(events('csrf_rejected').at(-1)).toMatchObject({
      requestId,
      route: '/api',
      client: '127.0.0.1',
      level: 'warn',
    });
    expect(events('access_denied').at(-1)).toMatchObject({ requestId, route: '/ruled', client: '127.0.0.1' });
  });
});

describe('levels', () => {
  test('each module has its own, and it changes while the logger is in use', () => {
    const written: string[] = [];
    const log = createLogger(
      { level: 'info', access: true, format: 'json' },
      { write: (line: string) => void written.push(line) },
    );
    setLevels(log, { level: 'warn', levels: { oidc: 'debug' } });
    const [oidc, store] = [moduleLog(log, 'oidc'), moduleLog(log, 'store')];
    oidc.debug('heard');
    store.info('not heard');
    setLevels(log, { level: 'error', levels: { store: 'info' } });
    oidc.warn('not heard');
    store.info('heard');
    expect(written.map((line) => JSON.parse(line) as Line)).toMatchObject([
      { module: 'oidc', msg: 'heard' },
      { module: 'store', msg: 'heard' },
    ]);
  });

  test('at debug the store, the provider and the upstreams are told call by call', async () => {
    const browser = await party.signedInBrowser();
    await browser.fetch('/api/x');
    await browser.fetch('/closed/x');
    expect(lines()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ module: 'store', operation: 'put', outcome: 'answered', ms: expect.any(Number) }),
        expect.objectContaining({ module: 'oidc', method: 'POST', url: `${party.op.issuer}/token`, result: 200 }),
        expect.objectContaining({ module: 'proxy', upstream: new URL(party.api.url).host, status: 200 }),
      ]),
    );
  });
});

describe('series', () => {
  test('strange methods and paths add no series', async () => {
    const { address, publicUrl } = party.postern;
    const ask = async (method: string, path: string): Promise<void> => {
      const { body } = await request(address + path, {
        method: method as 'GET',
        headers: { host: new URL(publicUrl).host },
      });
      await body.dump();
    };
    for (const method of ['GET', 'PROPFIND', 'MKCOL']) await ask(method, '/bff/nothing');
    const series = async (): Promise<number> => (await party.postern.metric('http_')).length;
    await until(async () => (await party.postern.metric('http_server_active_requests'))[0]!.endsWith(' 0'));
    const before = await series();
    for (const method of ['PURGE', 'LOCK', 'SEARCH', 'UNLINK', 'M-SEARCH', 'REPORT'])
      await ask(method, `/bff/${crypto.randomUUID()}`);
    for (let path = 0; path < 50; path += 1) await ask('GET', `/bff/${crypto.randomUUID()}`);
    expect(await series()).toBe(before);
    const [line] = await party.postern.metric(
      'http_server_request_duration_seconds_count{http_request_method="_OTHER"',
    );
    expect(line).toContain('http_response_status_code="404"');
  });

  test('upstreams, the provider, the store, the cache and the breaker are measured', async () => {
    const browser = await party.signedInBrowser();
    await browser.fetch('/api/x');
    await browser.fetch('/api/x');
    await browser.fetch('/closed/x');
    const { postern } = party;
    const api = new URL(party.api.url).host;
    const counted = async (name: string, labels: string): Promise<number> =>
      Number((await postern.metric(`${name}{${labels}}`))[0]?.split(' ')[1] ?? 0);
    const calls = (server: string, status: string): Promise<number> =>
      counted(
        'http_client_request_duration_seconds_count',
        `server_address="${server}",http_response_status_code="${status}"`,
      );
    expect(await calls(api, '200')).toBeGreaterThanOrEqual(2);
    expect(await calls('127.0.0.1:9', '')).toBeGreaterThan(0);
    expect(await calls(new URL(party.op.issuer).host, '200')).toBeGreaterThan(0);
    expect(
      await counted('postern_session_store_operation_duration_seconds_count', 'operation="load",outcome="answered"'),
    ).toBeGreaterThan(0);
    expect(await postern.metric('postern_provider_breaker_open')).toEqual([
      'postern_provider_breaker_open{grant="code"} 0',
      'postern_provider_breaker_open{grant="refresh"} 0',
    ]);
    await until(async () => (await counted('postern_near_cache_lookups_total', 'outcome="hit"')) > 0);
    expect(await counted('postern_near_cache_lookups_total', 'outcome="miss"')).toBeGreaterThan(0);
  });
});

async function handleOf(browser: Browser): Promise<string> {
  const { session } = (await browser.fetch('/bff/session')).json() as { session: { handle: string } };
  return session.handle;
}
