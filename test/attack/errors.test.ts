// What strangers, and people on a bad day, get to read: one form for every error, with its code and nothing of our insides (RFC 9457).
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { errorCodes, statusOf, titleOf } from '../../src/errors.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { Browser, BrowserAnswer } from '../support/browser.ts';
import { startLogin } from '../support/browser-login.ts';
import { connect, exchange, valuesOf } from '../support/raw-client.ts';
import type { RawAnswer } from '../support/raw-client.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { HostileUpstream } from '../support/upstream.ts';

const challenge = 'WWW-Authenticate: Bearer error="insufficient_user_authentication", max_age=60';

let redis: RedisServer;
let broken: HostileUpstream;
let silent: HostileUpstream;
let stepUp: HostileUpstream;
let party: RelyingParty;

beforeAll(async () => {
  [redis, broken, silent, stepUp] = await Promise.all([
    startRedis(),
    HostileUpstream.start((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n')),
    HostileUpstream.start(() => undefined),
    HostileUpstream.start((socket) => socket.end(`HTTP/1.1 401 No\r\n${challenge}\r\nContent-Length: 0\r\n\r\n`)),
  ]);
  party = await startRelyingParty({
    config: (_op, api) => ({
      redis: { url: redis.url },
      login: {},
      limits: { streams: 1 },
      routes: [
        { path: '/api', upstream: api.url },
        { path: '/admin', upstream: api.url, require: { roles: ['admin'] } },
        { path: '/small', upstream: api.url, auth: 'none', limits: { body: '1b' } },
        { path: '/closed', upstream: 'http://127.0.0.1:9', auth: 'none' },
        { path: '/socket', upstream: 'http://127.0.0.1:9', auth: 'none', websocket: true },
        { path: '/broken', upstream: broken.url, auth: 'none' },
        { path: '/step-up', upstream: stepUp.url, stepUp: { maxAge: true } },
        { path: '/silent', upstream: silent.url, auth: 'none', timeout: { headers: '1s' } },
      ],
    }),
  });
});
afterAll(async () => {
  await party[Symbol.asyncDispose]();
  await Promise.all([broken.stop(), silent.stop(), stepUp.stop(), redis[Symbol.asyncDispose]()]);
});

async function raw(lines: string[], target = '/api/x', host = ''): Promise<RawAnswer> {
  const { postern } = party;
  const head = [
    `GET ${target} HTTP/1.1`,
    `Host: ${host === '' ? new URL(postern.publicUrl).host : host}`,
    'Connection: close',
    ...lines,
  ];
  const { answers } = await exchange(postern.address, `${head.join('\r\n')}\r\n\r\n`);
  expect(answers).toHaveLength(1);
  return answers[0]!;
}

/** A callback that this browser is waiting for, the provider doing this meanwhile. */
async function callback(browser: Browser, during: () => void): Promise<URL> {
  const url = await party.op.authorize(await startLogin(browser));
  during();
  return url;
}
const failTokenCall = (): void => party.op.endpoints.behaviours.token.fail('unavailable', 1);

async function whileRedisIsFrozen<Result>(ask: () => Promise<Result>): Promise<Result> {
  redis.freeze();
  try {
    return await ask();
  } finally {
    redis.thaw();
  }
}

async function signedOutBrowser(): Promise<Browser> {
  const browser = await party.signedInBrowser();
  const name = browser.jar.names().find((kept) => /^postern-\d+$/.test(kept))!;
  const { value } = browser.jar.get(name)!;
  await browser.fetch('/bff/logout', { method: 'POST' });
  browser.jar.store(new URL(party.postern.publicUrl), `${name}=${value}; Path=/`);
  return browser;
}

/** How a script comes to see each code. */
const asScript: Partial<Record<ErrorCode, () => Promise<BrowserAnswer>>> = {
  bad_request: () => party.openBrowser().fetch('/bff/callback?state=a&state=b'),
  async login_failed() {
    const browser = party.openBrowser();
    const url = await callback(browser, () => undefined);
    url.searchParams.set('iss', 'https://other.example.test');
    return browser.fetch(url);
  },
  session_required: () => party.openBrowser().fetch('/api/x'),
  session_expired: async () => (await signedOutBrowser()).fetch('/api/x'),
  csrf_rejected: async () =>
    (await party.signedInBrowser()).fetch('/api/x', { headers: { 'sec-fetch-site': 'cross-site' } }),
  step_up_required: async () => (await party.signedInBrowser()).fetch('/step-up/x'),
  forbidden: async () => (await party.signedInBrowser()).fetch('/admin/x'),
  payload_too_large: () => party.openBrowser().fetch('/small/x', { method: 'POST', body: 'too much' }),
  navigation_required: () => party.openBrowser().fetch('/bff/login'),
  no_route: () => party.openBrowser().fetch('/nowhere'),
  method_not_allowed: () => party.openBrowser().fetch('/bff/session', { method: 'DELETE' }),
  misdirected: () => party.openBrowser().fetch('/api/x', { headers: { host: 'evil.test' } }),
  upstream_unreachable: () => party.openBrowser().fetch('/closed/x'),
  upstream_invalid: () => party.openBrowser().fetch('/broken/x'),
  upstream_timeout: () => party.openBrowser().fetch('/silent/x'),
  async session_store_unavailable() {
    const browser = await party.signedInBrowser();
    return whileRedisIsFrozen(() => browser.fetch('/api/x'));
  },
  async overloaded() {
    const browser = await party.signedInBrowser();
    const { publicUrl, address } = party.postern;
    const first = connect(address);
    const cookie = browser.jar.headerFor(new URL(publicUrl), { isSameSite: true, isTopLevelRead: false });
    const head = ['GET /bff/events HTTP/1.1', `Host: ${new URL(publicUrl).host}`, `Cookie: ${cookie}`, 'X-CSRF: 1'];
    first.write(`${head.join('\r\n')}\r\n\r\n`);
    await once(first, 'data');
    try {
      return await (await party.signedInBrowser()).fetch('/bff/events');
    } finally {
      first.destroy();
    }
  },
  async provider_unavailable() {
    const browser = party.openBrowser();
    return browser.fetch(await callback(browser, failTokenCall));
  },
};

/** How a person on the way to a page under the base path does. */
const asPerson: Partial<Record<ErrorCode, () => Promise<BrowserAnswer>>> = {
  bad_request: () => party.openBrowser().step('/bff/callback?state=a&state=b'),
  login_failed: () => party.openBrowser().step('/bff/callback?state=unknown'),
  csrf_rejected: async () => (await party.signedInBrowser()).step('/bff/session'),
  no_route: () => party.openBrowser().step('/bff/nothing'),
  method_not_allowed: () => party.openBrowser().submit('/bff/session'),
  async rate_limited() {
    const browser = party.openBrowser();
    for (let login = 0; login < 5; login += 1) await startLogin(browser);
    return browser.step('/bff/login');
  },
  async session_store_unavailable() {
    const browser = party.openBrowser();
    const url = await callback(browser, () => undefined);
    return whileRedisIsFrozen(() => browser.step(url));
  },
  async provider_unavailable() {
    const browser = party.openBrowser();
    return browser.step(await callback(browser, failTokenCall));
  },
};

/** Codes of requests that never became one: Node's parser refused them. */
const asBytes: Partial<Record<ErrorCode, () => Promise<RawAnswer>>> = {
  bad_request: () => raw(['no header']),
  headers_too_large: () => raw([`X: ${'x'.repeat(40_000)}`]),
  upgrade_required: () =>
    raw(
      [
        `Origin: ${party.postern.publicUrl}`,
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
        'Sec-WebSocket-Version: 12',
      ],
      '/socket',
    ),
};

/** A defect: nobody knows how to get it. What it looks like is in test/unit/login/endpoint-errors.test.ts. */
const unreachable: ErrorCode[] = ['internal_error'];

const insides =
  /\b127\.|localhost|:\d{4,5}\b|\b(E[A-Z]{5,}|HPE_|UND_|OAUTH_)|[Rr]edis|[Ee]xpress\b|undici|openid|jose|\bnode\b|Error\b|\bat \/|\.[jt]s\b|stack|secret/;

function withoutOurOrigin(text: string): string {
  return text.replaceAll(new URL(party.postern.publicUrl).host, 'OURS');
}

test('every code is one that a caller can get, and is shown below', () => {
  const shown = [asScript, asPerson, asBytes].flatMap((ways) => Object.keys(ways));
  expect([...new Set([...shown, ...unreachable])].sort()).toEqual([...errorCodes].sort());
});

describe('an error for a script is problem+json with type, title, status, code and requestId, and nothing else (ERR-01, ERR-02)', () => {
  test.each(Object.entries(asScript))('%s', async (name, provoke) => {
    const code = name as ErrorCode;
    const answer = await provoke();
    const status = statusOf(code);
    const { requestId, ...problem } = answer.json();
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(problem).toEqual({
      type: `urn:postern:error:${code}`,
      title: titleOf(code),
      status,
      code,
      ...(status === 401 ? { loginUrl: `/bff/login${code === 'step_up_required' ? '?max_age=60' : ''}` } : {}),
    });
    expect(answer).toMatchObject({ status, headers: { 'cache-control': 'no-store', vary: 'Cookie' } });
    expect(answer.headers['retry-after'] !== undefined).toBe(status === 503);
    expect(answer.setCookies.filter((line) => !line.includes('-tx-'))).toEqual([]);
    expect(withoutOurOrigin(answer.body + JSON.stringify(answer.headers))).not.toMatch(insides);
    const lines = party.postern.log.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'request', requestId, status, code }));
  });
});

describe('for a person it is a page with the same status and code, and a way on (ERR-01, ERR-02)', () => {
  test.each(Object.entries(asPerson))('%s', async (name, provoke) => {
    const code = name as ErrorCode;
    const answer = await provoke();
    expect(answer).toMatchObject({
      status: statusOf(code),
      headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' },
    });
    expect(answer.body).toContain(`Code: ${code}.`);
    expect(answer.body).toContain('href="/bff/login"');
    const { style, ...headers } = { style: /<style>[^]*<\/style>/, ...answer.headers };
    expect(withoutOurOrigin(answer.body.replace(style, '') + JSON.stringify(headers))).not.toMatch(insides);
  });
});

describe('for bytes that are no request or a handshake it is problem+json too, and the end of the connection (ERR-01, ERR-02)', () => {
  test.each(Object.entries(asBytes))('%s', async (name, provoke) => {
    const code = name as ErrorCode;
    const answer = await provoke();
    const status = statusOf(code);
    expect(JSON.parse(answer.body)).toEqual({
      type: `urn:postern:error:${code}`,
      title: titleOf(code),
      status,
      code,
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(answer.status).toBe(status);
    expect(valuesOf(answer, 'x-content-type-options')).toEqual(['nosniff']);
    expect(valuesOf(answer, 'connection')).toEqual([expect.stringMatching(/\bclose$/)]);
    expect(valuesOf(answer, 'content-type')).toEqual(['application/problem+json; charset=utf-8']);
    expect(answer.body).not.toMatch(insides);
  });
});
