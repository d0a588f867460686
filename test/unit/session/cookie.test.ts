import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { valuesOf } from '../../../src/session/cookie-header.ts';
import { createSessionCookie, hashOf } from '../../../src/session/cookie.ts';
import { signedValue } from '../../support/signed-cookie.ts';

const secrets = ['new secret', 'old secret'];
const options = {
  publicUrl: 'https://shop.example.com',
  baseName: 'postern',
  sameSite: 'strict',
  maxAgeMs: () => undefined,
  secrets: () => secrets,
} as const;
const cookie = createSessionCookie(options);
const sessionId = randomBytes(32).toString('base64url');
const header = `${cookie.name}=${signedValue(sessionId, 'new secret')}`;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heldBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test('over https the cookie has the name and the attributes that browsers guard (CK-01…06, S-08)', () => {
  expect(cookie.name).toBe('__Host-Http-postern');
  expect(cookie.attributes).toEqual({ path: '/', httpOnly: true, secure: true, sameSite: 'strict' });
});

test('on loopback the port is in the name, because cookies ignore ports', () => {
  const nameAt = (publicUrl: string): string => createSessionCookie({ ...options, publicUrl }).name;
  expect(nameAt('http://localhost:8080')).toBe('postern-8080');
  expect(nameAt('http://localhost:8081')).toBe('postern-8081');
  expect(nameAt('http://localhost')).toBe('postern-80');
  expect(createSessionCookie({ ...options, publicUrl: 'http://localhost:8080' }).attributes.secure).toBe(false);
});

test('a persistent cookie lives as long as it is told (CK-15)', () => {
  expect(cookie.attributes).not.toHaveProperty('maxAge');
  expect(createSessionCookie({ ...options, maxAgeMs: () => 1000 }).attributes.maxAge).toBe(1000);
});

test('a cookie that we signed names its session, and the store’s name for it is a hash (SES-15)', () => {
  expect(cookie.read(header)).toEqual({ kind: 'valid', sessionId, h: hashOf(sessionId) });
  expect(hashOf(sessionId)).not.toContain(sessionId);
  expect(cookie.read(`a=1; ${header}; b=2`)).toMatchObject({ kind: 'valid', sessionId });
  expect(cookie.read(`a=1;${header};`)).toMatchObject({ kind: 'valid', sessionId });
});

test('no cookie of ours is no session, and not a broken one', () => {
  for (const value of [undefined, '', ';', ' ; ', 'a=1', `x${header}`, `${cookie.name}x=1`]) {
    expect(cookie.read(value)).toEqual({ kind: 'absent' });
  }
});

// A sibling subdomain may set a cookie whose name begins with such a byte: browsers see no prefix in it to guard.
test.each(['\u00a0', '\u000b', '\u000c', '\ufeff'])(
  'a name that is ours only once a server trims more than spaces is not ours: %j (CK-06, CK-12)',
  (invisible) => {
    expect(cookie.read(`${invisible}${header}`)).toEqual({ kind: 'absent' });
    expect(cookie.read(`${header}; ${invisible}${header}`)).toMatchObject({ kind: 'valid', sessionId });
    expect(cookie.read(header.replace('=', `${invisible}=`))).toEqual({ kind: 'absent' });
  },
);

test('a Cookie header of a million bytes without one value is read in no time (DL-03)', () => {
  const hostile = 'a;'.repeat(512 * 1024);
  const timesMs = Array.from({ length: 3 }, () => {
    const startedAt = performance.now();
    expect(valuesOf(hostile, cookie.name)).toEqual([]);
    return performance.now() - startedAt;
  });
  // Some 20 ms, and four seconds where every word is searched to the end of the header.
  expect(Math.min(...timesMs)).toBeLessThan(1000);
});

test.each([
  ['the same one twice', `${header}; ${header}`],
  ['an attacker’s first', `${cookie.name}=s%3Aevil.x; ${header}`],
  ['an attacker’s last', `${header}; ${cookie.name}=`],
  ['one without a value', `${header}; ${cookie.name}`],
])('a duplicate session cookie is no session: %s (CK-12)', (_which, value) => {
  expect(cookie.read(value)).toEqual({ kind: 'invalid' });
});

test('any secret of the list opens, a foreign one opens nothing (S-22)', () => {
  const old = createSessionCookie({ ...options, secrets: () => ['old secret'] });
  expect(cookie.read(`${cookie.name}=${signedValue(sessionId, 'old secret')}`)).toMatchObject({ kind: 'valid' });
  expect(old.read(header)).toEqual({ kind: 'invalid' });
  expect(createSessionCookie({ ...options, secrets: () => ['new secret'] }).read(header)).toMatchObject({
    kind: 'valid',
  });
});

test.each([
  '',
  's%3A',
  's:',
  '%',
  's%3A%',
  `s%3A${sessionId}`,
  `s%3A${sessionId}.`,
  sessionId,
  `s%3A${sessionId}.${'A'.repeat(43)}`,
  'x'.repeat(5000),
  `j%3A{}`,
])('a damaged, unsigned or over-long cookie is invalid: %j (CK-13)', (value) => {
  expect(cookie.read(`${cookie.name}=${value}`)).toEqual({ kind: 'invalid' });
});

test('a well-signed value that is no session id of ours is invalid (S-19)', () => {
  for (const id of ['', 'short', `${sessionId}x`, '../etc', '{"a":1}']) {
    expect(cookie.read(`${cookie.name}=${signedValue(id, 'new secret')}`)).toEqual({
      kind: 'invalid',
    });
  }
});

test('one flipped character is enough to make it invalid (CK-13)', () => {
  const value = signedValue(sessionId, 'new secret');
  const flipped = fc
    .nat({ max: value.length - 1 })
    .map((at) => value.slice(0, at) + (value[at] === 'A' ? 'B' : 'A') + value.slice(at + 1));
  fc.assert(
    fc.property(flipped, (changed) => {
      expect(cookie.read(`${cookie.name}=${changed}`)).toEqual({ kind: 'invalid' });
    }),
  );
});

test('a thousand cookies from strangers: never an exception, never a session (CK-13, S-17)', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (value) => {
      const reading = cookie.read(`${cookie.name}=${value}`);
      expect(reading.kind).not.toBe('valid');
    }),
    { numRuns: 1000 },
  );
});

test('a remembered cookie keeps nothing of the header that it came in (DL-03)', () => {
  const jars = 2_000;
  const own = createSessionCookie(options);
  const before = heldBytes();
  for (let jar = 0; jar < jars; jar += 1) {
    const value = signedValue(randomBytes(32).toString('base64url'), 'new secret');
    const fat = Buffer.from(`${own.name}=${value}; theme=${'x'.repeat(16_000)}`).toString('latin1');
    expect(own.read(fat).kind).toBe('valid');
  }
  expect((heldBytes() - before) / jars).toBeLessThan(10_000);
  expect(own.read(header).kind).toBe('valid');
});

test('ours are the session, the transactions and the counter, and nobody else’s', () => {
  const own = ['', '-tx-abc', '-logins'].map((end) => cookie.name + end);
  expect(own.every((name) => cookie.isOwn(name))).toBe(true);
  expect(
    ['postern', '__Host-Http-poster', `${cookie.name}2`, `${cookie.name}-theme`].some((name) => cookie.isOwn(name)),
  ).toBe(false);
});

test('express-session reads the same cookie from a header as we do: values keep their order and their bytes', () => {
  expect(valuesOf('a=1; b=2; a= 3 ;a', 'a')).toEqual(['1', '3', 'a']);
});
