import { setImmediate } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { createSessionIndex } from '../../../src/session/session-index.ts';
import type { SessionRecord } from '../../../src/session/session.ts';
import { createMemoryStore } from '../../../src/store/memory.ts';

const iss = 'https://id.example.com';
const alice: SessionRecord = {
  iss,
  sub: 'alice',
  sid: 'a1',
  claims: { sub: 'alice' },
  clientId: 'shop',
  createdAt: 1_750_000_000_000,
  issuedAt: 1_750_000_000_000,
  device: 'a browser',
};

function open() {
  let clock = 1_750_000_000_000;
  const store = createMemoryStore({ now: () => clock });
  const index = createSessionIndex({ store, absoluteSeconds: 3600 });
  return {
    store,
    index,
    later: (ms: number) => (clock += ms),
    login: async (h: string, record = alice): Promise<void> => {
      await store.writeSession(h, JSON.stringify(record), 600);
      await index.add(h, record);
    },
  };
}

test('a login that has no tokens yet is found, so that it can be ended (BCL-16)', async () => {
  const { index, login } = open();
  await login('h1');
  expect(await index.bySid(iss, 'a1')).toEqual([{ h: 'h1', record: alice }]);
  expect(await index.bySubject(iss, 'alice')).toEqual([{ h: 'h1', record: alice }]);
});

test('a session that ended by itself is not found, and is dropped by whoever looks', async () => {
  const { store, index, login, later } = open();
  await login('h1');
  later(1_200_000);
  await login('h2');
  expect((await index.bySubject(iss, 'alice')).map(({ h }) => h)).toEqual(['h2']);
  await store.writeSession('h1', JSON.stringify(alice), 600);
  expect((await index.bySubject(iss, 'alice')).map(({ h }) => h)).toEqual(['h2']);
});

test('the sessions of somebody who has hundreds are read a hundred at a time, so that nobody else’s wait behind them (DL-03)', async () => {
  const { store, login } = open();
  for (let at = 0; at < 250; at += 1) await login(`h${at}`);
  let [underWay, most] = [0, 0];
  const readSession = async (h: string): Promise<string | null> => {
    underWay += 1;
    most = Math.max(most, underWay);
    await setImmediate();
    underWay -= 1;
    return store.readSession(h);
  };
  const index = createSessionIndex({ store: { ...store, readSession }, absoluteSeconds: 3600 });
  expect(await index.bySubject(iss, 'alice')).toHaveLength(250);
  expect(most).toBe(100);
});

test('a user is an issuer and a sub: the same sub of another issuer is somebody else (SES-21)', async () => {
  const { index, login } = open();
  await login('h1');
  await login('h2', { ...alice, iss: 'https://other.example.com' });
  expect((await index.bySubject(iss, 'alice')).map(({ h }) => h)).toEqual(['h1']);
  expect((await index.bySid(iss, 'a1')).map(({ h }) => h)).toEqual(['h1']);
});

test('a sub is never taken for a sid, nor one spelling of the parts for another', async () => {
  const { index, login } = open();
  await login('h1', { ...alice, sub: 'a1', sid: 'alice' });
  expect(await index.bySubject(iss, 'alice')).toEqual([]);
  expect(await index.bySid(iss, 'a1')).toEqual([]);
  expect(await index.bySubject(`${iss}","a1`, '')).toEqual([]);
});

test('the oldest session comes first', async () => {
  const { index, login, later } = open();
  for (const h of ['h3', 'h1', 'h2']) {
    await login(h);
    later(1_000);
  }
  expect((await index.bySubject(iss, 'alice')).map(({ h }) => h)).toEqual(['h3', 'h1', 'h2']);
});

test('a user’s sessions are found in the order of their logins even after the longest life of a session was lowered, when later logins have to end before earlier ones', async () => {
  const { store, index, login } = open();
  await login('h1');
  const lowered = createSessionIndex({ store, absoluteSeconds: 60 });
  const record = { ...alice, createdAt: alice.createdAt + 1_000 };
  await store.writeSession('h2', JSON.stringify(record), 600);
  await lowered.add('h2', record);
  expect((await index.bySubject(iss, 'alice')).map(({ h }) => h)).toEqual(['h1', 'h2']);
});

test.each([
  ['half a record', '{"iss":'],
  ['null', 'null'],
  ['a number', '7'],
  ['a record without its times', '{"iss":"https://id.example.com","sub":"alice","device":""}'],
])('a session whose record is %s is found all the same, and so are the others (BCL-09)', async (_what, json) => {
  const { store, index, login } = open();
  await login('h1');
  await login('h2');
  await store.writeSession('h1', json, 600);
  const found = [
    { h: 'h1', record: 'unreadable' },
    { h: 'h2', record: alice },
  ];
  expect(await index.read('h1')).toBe('unreadable');
  expect(await index.bySubject(iss, 'alice')).toEqual(found);
  expect(await index.bySid(iss, 'a1')).toEqual(found);
});
