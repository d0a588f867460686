// RFC 10017 section 6.1, "Backend For Frontend": what its rules mean at the edge of the whole app.
import { describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import type { Browser } from '../support/browser.ts';
import { whoAmI } from '../support/browser-login.ts';
import { endpointsOfApp } from '../support/documented-endpoints.ts';
import { newSessionKey } from '../support/postern.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { until } from '../support/until.ts';

const cookieHeaderOf = (party: RelyingParty, browser: Browser): string =>
  browser.jar.headerFor(new URL(party.postern.publicUrl), { isSameSite: true, isTopLevelRead: true });

describe('a session lives no longer than its refresh token (BFF-09)', () => {
  const session = { keys: [newSessionKey()], idleTimeout: '2h', absoluteTimeout: '12h' };

  test('the app is told so', async () => {
    const does = () => ({ tokenResponse: { refresh_expires_in: 3_600 } });
    await using party = await startRelyingParty({ does, config: () => ({ session }) });
    const { session: told } = await whoAmI(await party.signedInBrowser());
    expect(told.expiresIn).toBeGreaterThan(3_500);
    expect(told.expiresIn).toBeLessThanOrEqual(3_600);
    expect(told.idleExpiresIn).toBeLessThanOrEqual(told.expiresIn);
  });

  test('however busy it is: no call keeps it alive beyond that', async () => {
    const does = () => ({ tokenResponse: { refresh_expires_in: 2 } });
    await using party = await startRelyingParty({
      does,
      config: () => ({ session: { ...session, idleTimeout: '10s' } }),
    });
    const browser = await party.signedInBrowser();
    const watch = startStopwatch();
    await until(async () => (await party.bearerOf(browser)) === undefined);
    expect(watch.elapsedMs()).toBeLessThan(5_000);
    watch.stop();
    expect((await browser.fetch('/api/x')).json().code).toBe('session_expired');
  });

  test('a refresh that brings one of a later end moves that end, and somebody who goes on working stays (BFF-09)', async () => {
    const does = () => ({
      tokenResponse: { refresh_expires_in: 600 },
      refreshResponse: { refresh_expires_in: 3_600 },
    });
    await using party = await startRelyingParty({ does, config: () => ({ session }) });
    const browser = await party.signedInBrowser();
    // One that comes within 5 s of the login is answered without a refresh.
    await until(async () => {
      await browser.fetch('/bff/refresh', { method: 'POST' });
      const { session: told } = await whoAmI(browser);
      return told.expiresIn > 600 && told.expiresIn <= 3_600;
    });
  });

  test('a refresh token that lives longer than the configured timeout changes nothing', async () => {
    const does = () => ({ tokenResponse: { refresh_expires_in: 30 * 86_400 } });
    await using party = await startRelyingParty({ does, config: () => ({ session }) });
    const { session: told } = await whoAmI(await party.signedInBrowser());
    expect(Math.ceil(told.expiresIn / 10) * 10).toBe(43_200);
  });
});

describe('what acts for the holder of a cookie refuses requests of other sites (BFF-17)', () => {
  // They begin or end at the provider, on another site, and do nothing in a cookie's name; below is proof. Whoever adds an endpoint adds it here or has it tested.
  const fromOutside = [
    ...['/bff/login', '/bff/callback', '/bff/logout/continue', '/bff/logout/callback'],
    ...['/bff/backchannel-logout', '/bff/frontchannel-logout'],
  ];
  const endpoints = endpointsOfApp().map((row) => row.split(' ') as [method: string, path: string]);
  const acting = endpoints.filter(([, path]) => !fromOutside.includes(path));
  const open = endpoints.filter(([, path]) => fromOutside.includes(path));
  const routes: [method: string, path: string][] = ['/api/x', '/optional/x', '/open/x'].flatMap((path) =>
    ['GET', 'POST', 'DELETE'].map((method) => [method, path] as [string, string]),
  );

  const marks: [who: string, headers: Record<string, string>][] = [
    ['another site', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors', origin: 'https://evil.test' }],
    ['another site’s form', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', origin: 'null' }],
    ['a sibling of ours', { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' }],
    ['a typed address', { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }],
    ['somebody else’s Origin alone', { origin: 'https://evil.test' }],
    ['nobody', {}],
    ['another site that knows the header', { 'sec-fetch-site': 'cross-site', 'x-csrf': '1' }],
  ];

  const startParty = (more: object = {}): Promise<RelyingParty> =>
    startRelyingParty({
      config: () => ({
        ...more,
        logout: { frontChannel: true },
        routes: [
          { path: '/api', upstream: 'http://127.0.0.1:9' },
          { path: '/optional', upstream: 'http://127.0.0.1:9', auth: 'optional' },
          { path: '/open', upstream: 'http://127.0.0.1:9', auth: 'none' },
        ],
      }),
    });

  async function send(party: RelyingParty, path: string, options: { method: string; headers: Record<string, string> }) {
    const { host } = new URL(party.postern.publicUrl);
    const answer = await request(party.postern.address + path, {
      method: options.method as 'GET',
      headers: { host, ...options.headers },
    });
    return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
  }

  test.each([...acting, ...routes])('%s %s', async (method, path) => {
    await using party = await startParty();
    const browser = await party.signedInBrowser();
    const cookie = cookieHeaderOf(party, browser);
    for (const [who, headers] of marks) {
      const { status, body } = await send(party, path, { method, headers: { ...headers, cookie } });
      expect([who, status]).toEqual([who, 403]);
      expect(body).toContain('csrf_rejected');
    }
    expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
    expect(party.op.endpoints.seen('token')).toHaveLength(1);
  });

  test('to the letter: with requireHeader none of them answers our own page without the header either, whatever the body (CSRF-01, CS-01)', async () => {
    await using party = await startParty({ csrf: { requireHeader: true } });
    const browser = await party.signedInBrowser();
    const ours = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', cookie: cookieHeaderOf(party, browser) };
    // An EventSource cannot set a header.
    const asked = [...acting, ...routes].filter(([, path]) => path !== '/bff/events');
    const types = ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain', undefined];
    for (const [method, path] of asked) {
      for (const type of types) {
        const headers = { ...ours, ...(type !== undefined && { 'content-type': type }) };
        const { status, body } = await send(party, path, { method, headers });
        expect([method, path, type, status]).toEqual([method, path, type, 403]);
        expect(body).toContain('csrf_rejected');
      }
      const withHeader = await send(party, path, { method, headers: { ...ours, 'x-csrf': '0' } });
      expect([path, withHeader.status]).toEqual([path, 403]);
    }
    expect((await send(party, '/bff/session', { method: 'GET', headers: { ...ours, 'x-csrf': '1' } })).status).toBe(
      200,
    );
  });

  test('the endpoints that other sites and the provider send people to leave the session alone', async () => {
    expect(open.map(([, path]) => path).sort()).toEqual(fromOutside.sort());
    await using party = await startParty();
    const browser = await party.signedInBrowser();
    const cookie = cookieHeaderOf(party, browser);
    for (const [method, path] of open) {
      for (const [, headers] of marks) {
        const answer = await send(party, path, { method, headers: { ...headers, cookie } });
        expect([answer.headers['set-cookie'] ?? []].flat().join()).not.toMatch(/postern-\d+=/);
      }
    }
    expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
    expect(party.sessionCookieOf(browser)).toBe(/postern-\d+=([^;]+)/.exec(cookie)![1]);
  });
});

test('session ids are 32 random bytes: none comes twice, and no bit of them is a constant (SES-01)', async () => {
  await using party = await startRelyingParty();
  const ids = await Promise.all(
    Array.from({ length: 100 }, async () => {
      const cookie = party.sessionCookieOf(await party.signedInBrowser());
      return decodeURIComponent(cookie!).slice(2).split('.')[0]!;
    }),
  );
  expect(new Set(ids).size).toBe(100);
  const bytes = ids.map((id) => Buffer.from(id, 'base64url'));
  expect(bytes.map(({ length }) => length)).toEqual(bytes.map(() => 32));
  const bits = Array.from({ length: 256 }, (_, at) => bytes.filter((id) => (id[at >> 3]! >> (at & 7)) & 1).length);
  // A fair bit leaves this range less than once in a billion.
  expect(bits.filter((ones) => ones < 18 || ones > 82)).toEqual([]);
});
