import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import type { Request, Response } from 'express';
import { createPendingLogins } from '../../../src/login/pending-login.ts';
import type { PendingLogin } from '../../../src/login/pending-login.ts';
import { createSessionCookie } from '../../../src/session/cookie.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { createKeyRing } from '../../../src/tokens/key-ring.ts';
import { createBox } from '../../../src/tokens/seal.ts';
import { Browser } from '../../support/browser.ts';
import { serve } from '../../support/express-app.ts';

const publicUrl = 'https://shop.example.com';
const newKey = (): string => randomBytes(32).toString('base64');
const randomId = (): string => randomBytes(32).toString('base64url');
const cookie = createSessionCookie({
  publicUrl,
  baseName: 'postern',
  sameSite: 'strict',
  maxAgeMs: () => undefined,
  secrets: () => ['x'],
});

function newLogins(keys = [newKey()]) {
  const clock = { now: 1_750_000_000_000 };
  const store = createMemoryStore({ now: () => clock.now });
  const box = createBox(createKeyRing({ keys, now: () => clock.now }), 'transaction');
  const logins = createPendingLogins({ cookie, box, store, now: () => clock.now, randomId });
  const newLogin = (returnTo = '/', state = randomId()) => ({
    checks: { state, nonce: randomId(), codeVerifier: randomId() },
    returnTo,
    replaces: undefined,
  });
  return { logins, clock, store, newLogin };
}

type Act = (request: Request, response: Response) => unknown;

/** A browser whose every request does what the test says at that moment. */
async function openBrowser() {
  let act: Act = () => undefined;
  const app = await serve(
    async (request, response) => {
      await act(request, response);
      response.end();
    },
    { publicUrl },
  );
  const browser = new Browser(app);
  return {
    browser,
    async visit(next: Act): Promise<void> {
      act = next;
      await browser.step('/');
    },
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

test('what was started is found again under its state, whole, and under no other (OA-03)', async () => {
  const { logins, newLogin, clock } = newLogins();
  await using tab = await openBrowser();
  const login = { ...newLogin('/cart'), replaces: 'an-h' };
  await tab.visit((request, response) => logins.begin(request, response, login));
  const found: (PendingLogin | undefined)[] = [];
  await tab.visit((request) =>
    found.push(logins.find(request, login.checks.state), logins.find(request, randomId()), logins.find(request, null)),
  );
  expect(found).toEqual([{ ...login, startedAt: clock.now }, undefined, undefined]);
});

test('ten minutes later it is over, whatever the browser kept (CK-07)', async () => {
  const { logins, newLogin, clock } = newLogins();
  await using tab = await openBrowser();
  const login = newLogin();
  await tab.visit((request, response) => logins.begin(request, response, login));
  const found: (PendingLogin | undefined)[] = [];
  const look = (request: Request) => found.push(logins.find(request, login.checks.state));
  clock.now += 599_999;
  await tab.visit(look);
  clock.now += 1;
  await tab.visit(look);
  expect(found.map((login) => login !== undefined)).toEqual([true, false]);
});

test('a cookie moved under another name, changed, doubled or sealed elsewhere is nothing (OA-03, S-22)', async () => {
  const keys = [newKey()];
  const { logins, newLogin } = newLogins(keys);
  await using tab = await openBrowser();
  const [one, other] = [newLogin(), newLogin()];
  await tab.visit((request, response) => logins.begin(request, response, one));
  const [name] = tab.browser.jar.names();
  const { value } = tab.browser.jar.get(name!)!;
  await tab.visit((request, response) => logins.begin(request, response, other));
  const otherName = tab.browser.jar.names().find((kept) => kept !== name)!;
  // Nothing but the header is read, and the jar would not take some of these.
  const withCookie = (header: string): Request => ({ headers: { cookie: header } }) as unknown as Request;
  const findIn = (header: string, state: string, where = logins) => where.find(withCookie(header), state);
  expect(findIn(`${name}=${value}`, one.checks.state)).toBeDefined();
  expect(findIn(`${otherName}=${value}`, other.checks.state)).toBeUndefined();
  expect(findIn(`${name}=${value.slice(0, -2)}AA`, one.checks.state)).toBeUndefined();
  expect(findIn(`${name}=${value}; ${name}=${value}`, one.checks.state)).toBeUndefined();
  expect(findIn(`${name}=`, one.checks.state)).toBeUndefined();
  expect(findIn(`${name}=${value}`, one.checks.state, newLogins().logins)).toBeUndefined();
  expect(findIn(`${name}=${value}`, one.checks.state, newLogins([newKey(), ...keys]).logins)).toBeDefined();
});

test('at most three stay, the oldest go, and what cannot be read goes before them (CK-10)', async () => {
  const { logins, newLogin, clock } = newLogins();
  await using tab = await openBrowser();
  const names: string[] = [];
  const begin = async (): Promise<void> => {
    clock.now += 1_000;
    await tab.visit((request, response) => logins.begin(request, response, newLogin()));
    names.push(tab.browser.jar.names().find((name) => !names.includes(name))!);
  };
  for (let login = 0; login < 4; login += 1) await begin();
  expect(tab.browser.jar.names().sort()).toEqual(names.slice(1).sort());
  tab.browser.jar.delete((name) => name === names[3]);
  tab.browser.jar.store(new URL(publicUrl), `${cookie.name}-tx-AAAAAAAAAAAA=1.x.y; Path=/; Secure; HttpOnly`);
  await begin();
  expect(tab.browser.jar.names().sort()).toEqual([names[1]!, names[2]!, names[4]!].sort());
});

test('the largest transaction there can be fits into 2 KB (CK-09)', async () => {
  const { logins, newLogin } = newLogins();
  await using tab = await openBrowser();
  const login = newLogin(`/${'x'.repeat(1023)}`);
  const largest = {
    ...login,
    checks: { ...login.checks, maxAge: 999_999_999, acrValues: 'a'.repeat(128) },
    replaces: 'h'.repeat(43),
  };
  await tab.visit((request, response) => logins.begin(request, response, largest));
  const [name] = tab.browser.jar.names();
  expect(tab.browser.jar.get(name!)!.value.length).toBeLessThanOrEqual(2048);
});

test('a transaction is claimed once, also by callbacks that arrive together (OA-05, OA-11)', async () => {
  const { logins, newLogin } = newLogins();
  const login = { ...newLogin(), startedAt: 0 };
  const claims = await Promise.all([logins.claim(login), logins.claim(login), logins.claim(login)]);
  expect(claims.filter(Boolean)).toHaveLength(1);
  expect(await logins.claim({ ...newLogin(), startedAt: 0 })).toBe(true);
});

test('taken away, it is gone from the browser (CK-07, CK-14)', async () => {
  const { logins, newLogin } = newLogins();
  await using tab = await openBrowser();
  const login = newLogin();
  await tab.visit((request, response) => logins.begin(request, response, login));
  expect(tab.browser.jar.names()).toHaveLength(1);
  await tab.visit((_request, response) => logins.remove(response, { ...login, startedAt: 0 }));
  expect(tab.browser.jar.names()).toEqual([]);
});
