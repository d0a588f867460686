// From an API that asks for a stronger or fresher login (RFC 9470) to the session that contents it, with a browser and a provider.
import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { logIn, openBrowser, startLogin } from '../support/browser-login.ts';
import type { Browser } from '../support/browser.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startPostern } from '../support/postern.ts';
import type { LocalPostern } from '../support/postern.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let provider: MisbehavingProvider;
let upstream: RecordingUpstream;
let postern: LocalPostern;
let browser: Browser;

const visits = () => ({ issuer: provider.issuer, visit: (url: URL) => provider.authorize(url) });
const secondsAgo = (seconds: number): number => Math.floor(Date.now() / 1000) - seconds;

beforeAll(async () => {
  provider = await startMisbehavingProvider();
  upstream = await RecordingUpstream.start();
  postern = await startPostern(provider, {
    routes: [
      { path: '/payments', upstream: upstream.url, stepUp: { acrValues: ['gold', 'phrh'], maxAge: true } },
      { path: '/orders', upstream: upstream.url, stepUp: { acrValues: ['silver'] } },
    ],
  });
});

afterAll(async () => {
  await postern.stop();
  await upstream.stop();
  await provider.close();
});

beforeEach(async () => {
  browser = openBrowser(postern);
  expect((await logIn(browser, visits())).status).toBe(303);
});

afterEach(() => {
  delete provider.does.idToken;
  upstream.reset();
});

function refuse(response: ServerResponse): void {
  const challenge = 'Bearer error="insufficient_user_authentication", acr_values="gold", max_age="60"';
  response.writeHead(401, { 'www-authenticate': challenge }).end();
}

test('the app is told where to log in, and the login that follows opens the API (ID-24, SES-02)', async () => {
  const before = await browser.fetch('/bff/session');
  upstream.answer = ({ headers }, response) => {
    // The token of the first login is not good enough.
    if (headers.authorization === upstream.requests[0]?.headers.authorization) refuse(response);
    else response.end('paid');
  };
  const refused = await browser.fetch('/payments', { method: 'POST' });
  expect(refused.status).toBe(401);
  expect(refused.json()).toMatchObject({ code: 'step_up_required' });
  const { loginUrl } = refused.json() as { loginUrl: string };

  const query = new URL(loginUrl, postern.publicUrl).search;
  const asked = await startLogin(openBrowser(postern), query);
  expect(asked.searchParams.get('acr_values')).toBe('gold');
  expect(asked.searchParams.get('max_age')).toBe('60');

  provider.does.idToken = { acr: 'gold', auth_time: secondsAgo(5) };
  expect((await logIn(browser, visits(), { query })).status).toBe(303);
  expect(await browser.fetch('/payments', { method: 'POST' })).toMatchObject({ status: 200, body: 'paid' });
  expect((await browser.fetch('/bff/session')).json().session.handle).not.toBe(before.json().session.handle);
});

test.each([
  ['another acr', { acr: 'silver', auth_time: secondsAgo(5) }],
  ['no acr', { auth_time: secondsAgo(5) }],
  ['a login of yesterday', { acr: 'gold', auth_time: secondsAgo(86_400) }],
  ['no time of the login', { acr: 'gold' }],
])('a provider that answers with %s raises nothing, and the session stays (ID-14, ID-24)', async (_, idToken) => {
  provider.does.idToken = idToken;
  expect((await logIn(browser, visits(), { query: '?acr_values=gold&max_age=60' })).status).toBe(400);
  expect((await browser.fetch('/bff/session')).json()).toMatchObject({ authenticated: true });
});

test('a login may ask for what some route allows, and for nothing else', async () => {
  const { searchParams } = await startLogin(browser, '?acr_values=platinum+silver+phrh&max_age=x');
  expect(searchParams.get('acr_values')).toBe('silver phrh');
  expect(searchParams.has('max_age')).toBe(false);
  expect((await startLogin(openBrowser(postern), '?acr_values=platinum')).searchParams.has('acr_values')).toBe(false);
});

test('without a step-up on any route a login asks for neither', async () => {
  const plain = await startPostern(provider, { routes: [{ path: '/orders', upstream: upstream.url }] });
  try {
    const { searchParams } = await startLogin(openBrowser(plain), '?acr_values=gold&max_age=60');
    expect(['acr_values', 'max_age'].filter((name) => searchParams.has(name))).toEqual([]);
  } finally {
    await plain.stop();
  }
});
