import { expect, test } from '@jest/globals';
import { createSessionCookie, hashOf } from '../../../src/session/cookie.ts';
import { createSessions } from '../../../src/session/session.ts';
import type { SessionRecord } from '../../../src/session/session.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';
import { StoreUnavailable } from '../../../src/store/store.ts';
import type { Store } from '../../../src/store/store.ts';
import { Browser } from '../../support/browser.ts';
import { serve } from '../../support/express-app.ts';
import { signedValue } from '../../support/signed-cookie.ts';

const publicUrl = 'https://shop.example.com';
const ownSecrets = ['the secret'];
const secrets = (): readonly string[] => ownSecrets;
const cookie = createSessionCookie({
  publicUrl,
  baseName: 'postern',
  sameSite: 'strict',
  maxAgeMs: () => undefined,
  secrets,
});
const record: SessionRecord = {
  iss: 'https://id.example.com',
  sub: 'alice',
  sid: 'at-the-provider',
  claims: { sub: 'alice', email: 'alice@example.test' },
  clientId: 'shop',
  createdAt: 1_750_000_000_000,
  issuedAt: 1_750_000_000_000,
  device: 'a browser',
};

/** A memory store that counts, and that can be told to fail. */
function watchedStore() {
  const store = createMemoryStore({ now: Date.now });
  const calls: string[] = [];
  const failing = new Set<string>();
  const watched = <Result>(name: string, run: () => Promise<Result>): Promise<Result> => {
    calls.push(name);
    return failing.has(name) ? Promise.reject(new StoreUnavailable(new Error('down'))) : run();
  };
  const observed: Store = {
    ...store,
    readSession: (h) => watched('readSession', () => store.readSession(h)),
    writeSession: (h, json, ttlSeconds) => watched('writeSession', () => store.writeSession(h, json, ttlSeconds)),
    deleteSession: (h) => watched('deleteSession', () => store.deleteSession(h)),
  };
  return { calls, failing, store: observed };
}

function newSessions() {
  const { store, calls, failing } = watchedStore();
  return { store, calls, failing, sessions: createSessions({ store, cookie, secrets, idleSeconds: 1800 }) };
}

test('a session is made with an id of our own; its record is there before anybody gets the cookie (SES-01, S-07)', async () => {
  const { store, sessions } = newSessions();
  let writtenBefore: string | null = null;
  await using app = await serve(
    async (request, response) => {
      const sessionId = await sessions.rotate(request, response, record);
      writtenBefore = await store.readSession(hashOf(sessionId));
      response.end();
    },
    { publicUrl },
  );
  const browser = new Browser(app);
  await browser.step('/');
  const reading = cookie.read(`${cookie.name}=${browser.jar.get(cookie.name)!.value}`);
  expect(reading.kind).toBe('valid');
  expect(JSON.parse(writtenBefore!)).toMatchObject(record);
  expect(await store.readSession(reading.kind === 'valid' ? reading.h : '')).toBe(writtenBefore);
  await store.close();
});

test('a thousand ids are a thousand different ones of 256 bits (SES-01)', async () => {
  const { store, sessions } = newSessions();
  const ids = new Set<string>();
  await using app = await serve(
    async (request, response) => {
      ids.add(await sessions.rotate(request, response, record));
      response.end();
    },
    { publicUrl },
  );
  const browser = new Browser(app);
  for (let login = 0; login < 1000; login += 1) await browser.step('/');
  expect(ids.size).toBe(1000);
  for (const id of ids) expect(Buffer.from(id, 'base64url')).toHaveLength(32);
  await store.close();
});

test('a cookie that came along is neither adopted nor read, and its session stays whole (SES-03, S-01, S-02)', async () => {
  const { store, calls, sessions } = newSessions();
  const old = 'A'.repeat(43);
  await store.writeSession(hashOf(old), JSON.stringify({ cookie: {}, sub: 'bob' }), 1800);
  calls.length = 0;
  let made = '';
  await using app = await serve(
    async (request, response) => {
      made = await sessions.rotate(request, response, record);
      response.end();
    },
    { publicUrl },
  );
  await new Browser(app).step('/', { headers: { cookie: `${cookie.name}=${signedValue(old, 'the secret')}` } });
  expect(made).not.toBe(old);
  expect(calls).toEqual(['writeSession']);
  expect(JSON.parse((await store.readSession(hashOf(old)))!)).toMatchObject({ sub: 'bob' });
  expect(JSON.parse((await store.readSession(hashOf(made)))!)).not.toHaveProperty('other');
  await store.close();
});

test('a session that ends before its login’s answer has left does not come back (S-05)', async () => {
  const { store, calls, sessions } = newSessions();
  let h = '';
  await using app = await serve(
    async (request, response) => {
      h = hashOf(await sessions.rotate(request, response, record));
      await store.end(h, 'logout');
      response.end('done');
    },
    { publicUrl },
  );
  expect((await new Browser(app).step('/')).body).toBe('done');
  expect(await store.readSession(h)).toBeNull();
  expect(calls.filter((call) => call === 'writeSession')).toHaveLength(1);
  await store.close();
});

test('a store that does not answer is said so, and no cookie is set (S-14)', async () => {
  const { store, failing, sessions } = newSessions();
  failing.add('writeSession').add('deleteSession');
  await using app = await serve(
    async (request, response) => {
      const failure = await sessions.rotate(request, response, record).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(StoreUnavailable);
      await expect(sessions.destroy(request)).rejects.toBeInstanceOf(StoreUnavailable);
      response.end('told');
    },
    { publicUrl },
  );
  const answer = await new Browser(app).step('/');
  expect([answer.body, answer.setCookies]).toEqual(['told', []]);
  await store.close();
});

test('a session that is taken back leaves neither record nor cookie', async () => {
  const { store, calls, sessions } = newSessions();
  let h = '';
  await using app = await serve(
    async (request, response) => {
      h = hashOf(await sessions.rotate(request, response, record));
      await sessions.destroy(request);
      response.end();
    },
    { publicUrl },
  );
  expect((await new Browser(app).step('/')).setCookies).toEqual([]);
  expect(await store.readSession(h)).toBeNull();
  // Once, and not again while the response ends: the store may be away by then.
  expect(calls.filter((call) => call === 'deleteSession')).toHaveLength(1);
  await store.close();
});

test('where nothing was made there is nothing to take back', async () => {
  const { store, calls, sessions } = newSessions();
  await using app = await serve(
    async (request, response) => {
      await sessions.destroy(request);
      response.end();
    },
    { publicUrl },
  );
  expect((await new Browser(app).step('/')).status).toBe(200);
  expect(calls).toEqual([]);
  await store.close();
});

test('a persistent cookie carries its lifetime to the browser, and the record keeps the idle one (CK-15)', async () => {
  const { store } = newSessions();
  const persistent = createSessionCookie({
    publicUrl,
    baseName: 'postern',
    sameSite: 'lax',
    maxAgeMs: () => 43_200_000,
    secrets,
  });
  const sessions = createSessions({ store, cookie: persistent, secrets, idleSeconds: 1800 });
  await using app = await serve(
    async (request, response) => {
      await sessions.rotate(request, response, record);
      response.end();
    },
    { publicUrl },
  );
  const [line] = (await new Browser(app).step('/')).setCookies;
  expect(line).toMatch(/; SameSite=Lax/);
  const expires = Date.parse(/Expires=([^;]+)/.exec(line!)![1]!);
  expect(Math.abs(expires - Date.now() - 43_200_000)).toBeLessThan(100_000);
  await store.close();
});
