import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { settlingSeconds } from '../../../src/config/key-rules.ts';
import { createKeyRing } from '../../../src/tokens/key-ring.ts';
import { createBox, createTicketBox, createTokenSeal } from '../../../src/tokens/seal.ts';

const newKey = (): string => randomBytes(32).toString('base64');
const oldKey = newKey();
const ring = createKeyRing({ keys: [oldKey], now: () => 0 });
const seal = createTokenSeal(ring);
const alice = { sessionId: 'alice-session-id', h: 'alice-h' };
const bob = { sessionId: 'bob-session-id', h: 'bob-h' };
const tokens = {
  accessToken: 'TOKCANARY-access',
  refreshToken: 'TOKCANARY-refresh',
  idToken: 'TOKCANARY-id',
  claims: { iss: 'https://id.example.com', sub: 'alice' },
  scope: 'openid',
};

test('tokens open for the session that they were sealed for', () => {
  expect(seal.open(alice, 3, seal.seal(alice, 3, tokens))).toEqual(tokens);
});

test('a sealed value shows no token (SES-14)', () => {
  const sealed = seal.seal(alice, 1, tokens);
  expect(sealed + Buffer.from(sealed.split('.')[2]!, 'base64url').toString('latin1')).not.toContain('TOKCANARY');
});

test('a value that is moved to another session opens there for nobody (SES-14, TK-14)', () => {
  const sealed = seal.seal(alice, 1, tokens);
  expect(seal.open(bob, 1, sealed)).toBeNull();
  expect(seal.open({ sessionId: alice.sessionId, h: bob.h }, 1, sealed)).toBeNull();
});

test('the server key and the store together open nothing without the session id', () => {
  expect(seal.open({ sessionId: 'guessed', h: alice.h }, 1, seal.seal(alice, 1, tokens))).toBeNull();
});

test('a value of an earlier revision, put back later, does not open', () => {
  expect(seal.open(alice, 2, seal.seal(alice, 1, tokens))).toBeNull();
});

test('any change to a sealed value makes it unreadable, never an error', () => {
  const sealed = seal.seal(alice, 1, tokens);
  fc.assert(
    fc.property(fc.nat(sealed.length - 1), fc.string({ minLength: 1, maxLength: 3 }), (at, text) => {
      const changed = sealed.slice(0, at) + text + sealed.slice(at + text.length);
      const same =
        changed === sealed ||
        Buffer.from(changed.split('.')[2] ?? '', 'base64url').equals(Buffer.from(sealed.split('.')[2]!, 'base64url'));
      if (!same) expect(seal.open(alice, 1, changed)).toBeNull();
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => seal.open(alice, 1, text) === null));
});

test('after a key was added, what the old one sealed still opens, and new values are under the new one (SES-14, S-22, SEC-01)', () => {
  const clock = { now: 0 };
  const grown = createKeyRing({ keys: [newKey(), oldKey], now: () => clock.now });
  clock.now = settlingSeconds * 1000;
  const sealed = createTokenSeal(grown).seal(alice, 1, tokens);
  expect(createTokenSeal(grown).open(alice, 1, seal.seal(alice, 1, tokens))).toEqual(tokens);
  expect(sealed.split('.')[1]).toBe(grown.signing().id);
  expect(seal.open(alice, 1, sealed)).toBeNull();
});

test('a key that has left the ring opens nothing, not even what it has opened before (S-22, SEC-01)', () => {
  const changing = createKeyRing({ keys: [oldKey], now: () => 0 });
  const before = createTokenSeal(changing);
  const sealed = before.seal(alice, 1, tokens);
  expect(before.open(alice, 1, sealed)).toEqual(tokens);
  changing.replace([newKey()]);
  expect(before.open(alice, 1, sealed)).toBeNull();
});

test('the same tokens never seal to the same value twice', () => {
  expect(seal.seal(alice, 1, tokens)).not.toBe(seal.seal(alice, 1, tokens));
});

test('what is sealed for one purpose opens for no other (S-19)', () => {
  const box = createBox(ring, 'transaction');
  const ticket = createTicketBox(ring);
  expect(ticket.open('', box.seal('x', ''))).toBeNull();
  expect(box.open(ticket.seal('', 'x'), '')).toBeNull();
});

test('a logout ticket opens only what was sealed under it', () => {
  const box = createTicketBox(ring);
  expect(box.open('ticket-1', box.seal('ticket-1', 'hint'))).toBe('hint');
  expect(box.open('ticket-2', box.seal('ticket-1', 'hint'))).toBeNull();
});
