// RFC 6265bis and RFC 10017 section 6.1.3.2: the cookies of a login, as large and as strange as requests can make them.
import { describe, expect, test } from '@jest/globals';
import type { BrowserAnswer } from '../support/browser.ts';
import { startLogin, whoAmI } from '../support/browser-login.ts';
import { complaintsAbout, rightSave } from '../support/config-text.ts';
import { newSessionKey } from '../support/postern.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';

const isTransaction = (name: string): boolean => name.includes('-tx-');

describe('the login transaction is sealed: nothing in it can be read or changed (BFF-18)', () => {
  test('it shows none of what it holds', async () => {
    await using party = await startRelyingParty();
    const browser = party.openBrowser();
    const url = await startLogin(browser, '?returnTo=/a-page-of-the-app');
    const { value } = browser.jar.get(browser.jar.names().find(isTransaction)!)!;
    const shown = [value, ...value.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'))].join();
    for (const secret of [url.searchParams.get('state')!, url.searchParams.get('nonce')!, 'a-page-of-the-app'])
      expect(shown).not.toContain(secret);
  });

  test('with any byte of it changed there is no transaction: the code stays unused, and nobody is signed in', async () => {
    await using party = await startRelyingParty();
    const browser = party.openBrowser();
    const callback = await party.op.authorize(await startLogin(browser));
    const name = browser.jar.names().find(isTransaction)!;
    const { value } = browser.jar.get(name)!;
    for (const changed of variantsOf(value)) {
      const forger = party.openBrowser();
      forger.jar.store(new URL(party.postern.publicUrl), `${name}=${changed}; Path=/; HttpOnly`);
      const { status, setCookies } = await forger.step(callback, { from: party.op.issuer });
      expect([changed, status, setCookies]).toEqual([changed, 400, []]);
    }
    expect(party.op.endpoints.seen('token')).toEqual([]);
    expect(await browser.step(callback, { from: party.op.issuer })).toMatchObject({ status: 303 });
    expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
  });
});

/** The sealed value with its format, its key id, each byte of its content and its end changed. */
function variantsOf(value: string): string[] {
  const [format = '', keyId = '', payload = ''] = value.split('.');
  const bytes = Buffer.from(payload, 'base64url');
  const flipped = Array.from(bytes, (byte, at) => {
    const copy = Buffer.from(bytes);
    copy[at] = byte ^ (1 << (at % 8));
    return copy.toString('base64url');
  });
  return [
    ...flipped.map((content) => `${format}.${keyId}.${content}`),
    `2.${keyId}.${payload}`,
    `${format}.${keyId.slice(1)}A.${payload}`,
    `${format}.${keyId}.${bytes.subarray(0, -1).toString('base64url')}`,
    `${format}.${keyId}.${payload}AAAA`,
    `${format}.${keyId}`,
  ];
}

describe('answers by form_post are not offered, so no cookie has to be SameSite=None (CK-08)', () => {
  test('the configuration refuses to ask for them', () => {
    const provider = `
      issuer: https://id.example.com
      clientId: shop
      clientSecret: { env: CLIENT_SECRET }
      authorizationParameters: { response_mode: form_post }`;
    expect(complaintsAbout(rightSave(`provider:${provider}`)).join()).toContain('response_mode');
  });

  test('a login link cannot ask for them', async () => {
    await using party = await startRelyingParty();
    const url = await startLogin(party.openBrowser(), '?response_mode=form_post&prompt=login');
    expect([url.searchParams.get('response_mode'), url.searchParams.get('prompt')]).toEqual([null, 'login']);
  });

  test('one that comes all the same is 405, redeems nothing, and leaves the transaction for the real one', async () => {
    await using party = await startRelyingParty();
    const browser = party.openBrowser();
    const callback = await party.op.authorize(await startLogin(browser));
    const fields = Object.fromEntries(callback.searchParams);
    for (const from of [party.op.issuer, party.postern.publicUrl]) {
      const answer = await browser.submit('/bff/callback', { fields, from });
      expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET' }, setCookies: [] });
    }
    expect(party.op.endpoints.seen('token')).toEqual([]);
    expect(await browser.step(callback, { from: party.op.issuer })).toMatchObject({ status: 303 });
  });

  test('every cookie of a login and a logout is Strict or Lax', async () => {
    await using party = await startRelyingParty();
    const lines = (await wholeLife(party)).flatMap(({ setCookies }) => setCookies);
    expect(lines.length).toBeGreaterThan(4);
    expect(lines.filter((line) => !/; SameSite=(Strict|Lax)(;|$)/.test(line))).toEqual([]);
  });
});

describe('no cookie is ever cut into pieces, and none needs to be (S-13, CK-09)', () => {
  const long = 'x'.repeat(10_000);
  const scopes = ['openid', ...Array.from({ length: 50 }, (_, n) => `https://api.example.com/scope-number-${n}`)];

  test.each([
    ['a returnTo of 10 KB', `?returnTo=/${long}`],
    ['the longest returnTo there is', `?returnTo=/${'%C3%A9'.repeat(170)}`],
    ['every parameter at its longest', `?returnTo=/${'y'.repeat(1_000)}&${longestParameters()}`],
    ['a wish of 10 KB', `?login_hint=${long}`],
  ])('with %s', async (_, query) => {
    await using party = await startRelyingParty({
      does: () => ({ idToken: { acr: 'a'.repeat(128), auth_time: Math.floor(Date.now() / 1000), roles: long } }),
      config: () => ({
        login: { parameters: ['prompt', 'login_hint', 'max_age', 'acr_values', 'ui_locales'] },
        session: { keys: [newSessionKey()], claims: ['name', 'roles'] },
      }),
    });
    const answers = await wholeLife(party, query);
    const pairs = answers.flatMap(({ setCookies }) => setCookies.map((line) => line.split(';', 1)[0]!));
    expect(pairs.length).toBeGreaterThan(4);
    expect(pairs.filter((pair) => pair.length > 4_096)).toEqual([]);
    expect(pairs.filter((pair) => !/^postern-\d+(-tx-[\w-]{12}|-logins)?=/.test(pair))).toEqual([]);
    for (const { setCookies } of answers) {
      const names = setCookies.map((line) => line.split('=', 1)[0]);
      expect(new Set(names).size).toBe(names.length);
    }
  });

  test('with fifty scopes, which travel in the request and in no cookie', async () => {
    await using party = await startRelyingParty({
      config: ({ issuer, clientId, clientSecret }) => ({ provider: { issuer, clientId, clientSecret, scopes } }),
    });
    const browser = party.openBrowser();
    const url = await startLogin(browser);
    expect(url.searchParams.get('scope')).toBe(scopes.join(' '));
    const sizes = browser.jar.names().map((name) => name.length + browser.jar.get(name)!.value.length);
    expect(Math.max(...sizes)).toBeLessThan(1_024);
  });
});

function longestParameters(): string {
  return new URLSearchParams({
    prompt: 'login consent select_account',
    login_hint: 'h'.repeat(256),
    max_age: '999999999',
    acr_values: 'a'.repeat(128),
    ui_locales: Array.from({ length: 10 }, () => 'l'.repeat(35)).join(' '),
  }).toString();
}

/** Login, a look at the session, logout: every answer on the way. */
async function wholeLife(party: RelyingParty, query = ''): Promise<BrowserAnswer[]> {
  const browser = party.openBrowser();
  const login = await browser.step(`/bff/login${query}`);
  const callback = await party.op.authorize(new URL(String(login.headers['location'])));
  const answers = [login, await browser.step(callback, { from: party.op.issuer }), await browser.fetch('/bff/session')];
  expect(answers.at(-1)!.json()).toMatchObject({ authenticated: true });
  return [...answers, await browser.fetch('/bff/logout', { method: 'POST' })];
}
