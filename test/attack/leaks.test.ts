// One sweep for what must never come out: every secret of every journey, looked for in all that the browser got, in the log at its most talkative, in the
// metrics and in the whole content of Redis. Each journey has a provider, an API and a Postern of its own, so that all of them can wait at the same time.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { Browser } from '../support/browser.ts';
import { startLogin, whoAmI } from '../support/browser-login.ts';
import type { Fault } from '../support/endpoint.ts';
import { contentOf, findings, receivedBy, secretsOf } from '../support/leak-sweep.ts';
import { newSessionKey } from '../support/postern.ts';
import { exchange } from '../support/raw-client.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { HostileUpstream } from '../support/upstream.ts';
import { until } from '../support/until.ts';

const password = 'REDIS-PASSWORD-CANARY';
const sessionKey = newSessionKey();

let shared: RedisServer;
let hostile: HostileUpstream;

beforeAll(async () => {
  shared = await startRedis('--requirepass', password);
  hostile = await HostileUpstream.start((socket) => socket.end('HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n'));
});
afterAll(async () => {
  await hostile.stop();
  await shared[Symbol.asyncDispose]();
});

interface Journey {
  party: RelyingParty;
  browser: Browser;
  redis: RedisServer;
  /** Looks into Redis now, beside the look at the end. */
  lookIntoStore: () => Promise<void>;
}

const urlOf = ({ port }: { port: number }): string => `redis://:${password}@127.0.0.1:${port}/0`;

function journey(
  name: string,
  travel: (journey: Journey) => Promise<void>,
  { ownRedis = false, url = urlOf } = {},
): void {
  test.concurrent(`no secret comes out of ${name} (BFF-03, TK-01, TK-02, LOGS-01, SEC-01, RD-14)`, async () => {
    await using own = ownRedis ? await startRedis('--requirepass', password) : undefined;
    const redis = own ?? shared;
    await using party = await startRelyingParty({
      does: () => ({ tokenResponse: { expires_in: 1 }, refreshResponse: { expires_in: 300 } }),
      config: (_op, api) => ({
        session: { keys: [sessionKey] },
        redis: { url: url(redis) },
        login: { parameters: ['prompt', 'login_hint', 'max_age', 'acr_values'] },
        routes: [
          { path: '/hostile', upstream: hostile.url },
          { path: '/closed', upstream: 'http://127.0.0.1:9' },
          { path: '/public', upstream: hostile.url, auth: 'none' },
          // It answers without a word of what it was sent: that would be its leak, not ours.
          { path: '/api', upstream: api.url },
          { path: '/id', upstream: api.url, token: 'id' },
        ],
      }),
    });
    const browser = party.openBrowser();
    const stored: string[] = [];
    const lookIntoStore = async (): Promise<void> => void stored.push(await contentOf(urlOf(redis)));
    await travel({ party, browser, redis, lookIntoStore });
    await lookIntoStore();
    const operations = await Promise.all(
      ['/metrics', '/readyz', '/livez'].map((path) => operationsAnswer(party, path)),
    );
    const { everywhere, elsewhere } = secretsOf(party, browser, [sessionKey, password]);
    const told = { log: party.postern.log, stored, operations };
    expect(findings(everywhere, { ...told, browser: receivedBy(browser, party) })).toEqual([]);
    expect(findings(elsewhere, told)).toEqual([]);
    expect(party.postern.log.length).toBeGreaterThan(2);
    // A session's hash names its record in the store: the log has its handle in its place.
    const hashes = stored.join('\n').match(/(?<=\{)[\w-]{43}(?=\})/g) ?? [];
    expect(findings([...new Set(hashes)], { log: party.postern.log, operations })).toEqual([]);
  });
}

const refreshes = ({ party }: Journey): number => party.op.endpoints.seen('token', 'refresh_token').length;

/** Signed in, and the API called with both tokens. */
async function signIn({ party, browser, lookIntoStore }: Journey): Promise<void> {
  await party.logIn(browser);
  expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
  expect([(await browser.fetch('/api/x')).status, (await browser.fetch('/id/x')).status]).toEqual([200, 200]);
  await lookIntoStore();
}

/** Calls until the provider has been asked for new tokens so often, and the answer is there. */
async function callUntilRefreshed(one: Journey, times: number): Promise<void> {
  await until(async () => {
    await one.browser.fetch('/api/x');
    return refreshes(one) >= times;
  });
}

async function logOut({ party, browser }: Journey): Promise<void> {
  const { logoutUrl } = (await browser.fetch('/bff/logout', { method: 'POST' })).json();
  const { leadsTo } = await browser.navigate(logoutUrl, { from: party.postern.publicUrl });
  await browser.navigate(`/bff/logout/callback?state=${leadsTo?.searchParams.get('state') ?? ''}`);
}

journey('login, calls, a refresh, logout', async (one) => {
  await signIn(one);
  await callUntilRefreshed(one, 1);
  await one.browser.fetch('/bff/refresh', { method: 'POST' });
  await one.lookIntoStore();
  expect((await one.browser.fetch('/api/x')).status).toBe(200);
  await logOut(one);
  const { issued, endpoints } = one.party.op;
  // The sweep has something to look for: a code, two sets of tokens, and all of them were in use.
  expect(issued.length).toBeGreaterThanOrEqual(7);
  expect(endpoints.seen('revocation')[0]!.parameters.get('token')).toBe(issued.at(-2));
});

const faults: Fault[] = [
  'unavailable',
  'too-many-requests',
  'html',
  'oversized',
  'truncated',
  'reset',
  'lose-answer',
  'redirect',
  { error: 'invalid_client', status: 401 },
  { error: 'invalid_grant' },
];

for (const fault of faults) {
  journey(`a refresh that fails: ${JSON.stringify(fault)}`, async (one) => {
    await signIn(one);
    one.party.op.endpoints.behaviours.token.fail(fault, 2);
    await callUntilRefreshed(one, 1);
    await whoAmI(one.browser);
    await logOut(one);
  });
}

for (const [name, text] of [
  ['half a token response', (token: string) => `{"access_token":"${token}"`],
  ['a token response of another type', (token: string) => `{"access_token":"${token}","token_type":"${token}"}`],
  ['an error that repeats what was sent', (token: string) => `{"error":"${token}","error_description":"${token}"}`],
  [
    'an ID token that is none',
    (token: string) => `{"access_token":"${token}","token_type":"bearer","id_token":"${token}"}`,
  ],
] as const) {
  journey(`${name}, at a refresh and at a login`, async (one) => {
    const token = `BODY-CANARY-${crypto.randomUUID()}`;
    one.party.op.issued.push(token);
    await signIn(one);
    one.party.op.does.body = { token: { text: text(token) }, userinfo: { text: text(token) } };
    await callUntilRefreshed(one, 1);
    await one.party.logIn(one.browser);
    await logOut(one);
  });
}

journey('logins that fail: every check of the answer, in turn', async (one) => {
  const { op, postern } = one.party;
  for (const does of [
    { authorizationResponse: { state: 'another' } },
    { authorizationResponse: { iss: 'https://other.example.test' } },
    { authorizationResponse: { code: ['a', 'b'] } },
    { authorizationResponse: { code: undefined, error: 'access_denied', error_description: 'DESCRIPTION-CANARY' } },
    { authorizationResponse: {}, signature: 'broken' as const },
    { signature: 'valid' as const, idToken: { nonce: 'another' } },
    { idToken: {}, userinfo: { sub: 'mallory' } },
    { userinfo: {}, tokenResponse: { token_type: 'mac' } },
  ]) {
    Object.assign(op.does, does);
    const browser = new Browser(postern);
    await one.party.logIn(browser);
    expect(browser.jar.names().some((name) => /^postern-\d+$/.test(name))).toBe(false);
    one.browser.received.push(...browser.received);
  }
  for (const fault of ['unavailable', 'truncated', 'reset', { error: 'invalid_grant' }] satisfies Fault[]) {
    op.endpoints.behaviours.token.fail(fault, 1);
    await one.party.logIn(new Browser(postern));
  }
  expect(one.browser.received.join()).not.toContain('DESCRIPTION-CANARY');
  expect(postern.log.join()).not.toContain('DESCRIPTION-CANARY');
});

journey('requests that are refused, and upstreams that fail', async (one) => {
  await signIn(one);
  const { browser, party } = one;
  const { publicUrl, address } = party.postern;
  const [, token] = party.op.issued;
  for (const path of ['/hostile/x', '/closed/x', '/nothing', '/api/%2e%2e/x', '/bff/nothing', '/bff/logout/continue']) {
    await browser.fetch(`${path}?access_token=${token}`);
    await browser.step(path);
  }
  await browser.fetch('/api/x', { from: 'https://evil.test' });
  await browser.fetch('/api/x', { headers: { authorization: `Bearer ${token}` } });
  await browser.fetch('/api/x', { method: 'TRACE' });
  await browser.fetch('/bff/sessions');
  await browser.submit('/bff/backchannel-logout', { fields: { logout_token: party.op.issued.at(-1)! } });
  await browser.step(`/bff/callback?code=${token}&state=${token}`);
  const cookie = browser.jar.headerFor(new URL(publicUrl), { isSameSite: true, isTopLevelRead: true });
  const { host } = new URL(publicUrl);
  for (const lines of [[`Cookie: ${cookie}; ${cookie}`], [`Cookie: ${cookie}`, `X: ${'x'.repeat(40_000)}`], [cookie]]) {
    const bytes = ['GET /api/x HTTP/1.1', `Host: ${host}`, 'Connection: close', ...lines].join('\r\n');
    browser.received.push('raw {}', (await exchange(address, `${bytes}\r\n\r\n`)).text);
  }
  await logOut(one);
});

journey(
  'Redis going away: at a call, a login, a refresh and a logout',
  async (one) => {
    await signIn(one);
    const { op } = one.party;
    const waiting = one.party.openBrowser();
    const callback = await op.authorize(await startLogin(waiting));
    one.redis.freeze();
    // What was asked for just before may still be at hand.
    await until(async () => (await one.browser.fetch('/bff/session')).status === 503);
    const statuses = [
      (await one.browser.fetch('/api/x')).status,
      (await waiting.step(callback, { from: op.issuer })).status,
      (await one.browser.fetch('/bff/logout', { method: 'POST' })).status,
    ];
    expect(statuses).toEqual([503, 503, 503]);
    one.redis.thaw();
    one.browser.received.push(...waiting.received);
    await until(async () => (await one.browser.fetch('/api/x')).status === 401);
  },
  { ownRedis: true },
);

journey(
  'a Redis that does not take our password',
  async (one) => {
    const answer = await one.party.openBrowser().fetch('/bff/session', { headers: { cookie: 'a=b' } });
    expect(answer.status).toBe(200);
    expect(await one.party.logIn(one.browser)).toMatchObject({ status: 503 });
    expect((await one.browser.fetch('/bff/session')).status).toBe(200);
  },
  { url: ({ port }) => `redis://:WRONG-${password}@127.0.0.1:${port}/0` },
);

describe('the sweep finds what it looks for', () => {
  test('the sweep finds a secret in the clear, encoded for a URL, and in base64', () => {
    const secret = 'a:b%/+ é';
    const encoded = [secret, encodeURIComponent(secret), Buffer.from(`id:${secret}`).toString('base64')];
    for (const text of encoded) expect(findings([secret, `id:${secret}`], { log: [`x ${text} y`] })).not.toEqual([]);
    expect(findings([secret], { log: ['a b'] })).toEqual([]);
  });
});

async function operationsAnswer({ postern }: RelyingParty, path: string): Promise<string> {
  const { headers, body } = await request(postern.operationsUrl + path);
  return JSON.stringify(headers) + (await body.text());
}
