import { expect, test } from '@jest/globals';
import { describeKeys, remarkOn } from '../../../src/config/explain.ts';
import type { Config } from '../../../src/config/schema.ts';
import { load, rightSave, sessionKey } from '../../support/config-text.ts';

const files = Object.fromEntries(
  ['new', 'older', 'oldest'].map((name) => [`/etc/postern/${name}`, Buffer.alloc(32, name).toString('base64')]),
);

function configOf(text: string): Config {
  const outcome = load(rightSave(text), { files });
  if (outcome.kind === 'invalid') throw new Error(outcome.problems.map(({ message }) => message).join('\n'));
  return outcome.config;
}

test('of several keys each is told when it signs and how long it is needed (S-22)', () => {
  const { session } = configOf('session: { keys: [{ file: new }, { file: older }, { env: SESSION_KEY }] }');
  expect(describeKeys({ session })).toEqual([
    'session.keys[0] (file /etc/postern/new) signs and seals once a process has known it for 10m',
    'session.keys[1] (file /etc/postern/older) signs and seals until then; needed until 12h and 10m after the last process has started',
    'session.keys[2] (env SESSION_KEY) only opens; needed until 12h after the last process has taken session.keys[0] over',
  ]);
});

test('a key by itself needs no words', () => {
  const config = configOf(`session: { keys: ["${sessionKey}"] }`);
  expect(describeKeys(config)).toEqual([]);
  expect(remarkOn(config, ['session', 'keys', 0])).toBe('signs and seals');
});

test('a lifetime that something else can shorten says so, with the number that decides', () => {
  const config = configOf('session: { keys: [{ file: new }], refreshBefore: 90s }\nlogin: { maxAge: 8h }');
  expect(remarkOn(config, ['session', 'refreshBefore'])).toBe(
    'a fifth of the lifetime for access tokens that live less than 450s',
  );
  expect(remarkOn(config, ['session', 'absoluteTimeout'])).toContain(
    'less where the refresh token ends earlier, unless a refresh moves that end;',
  );
  expect(remarkOn(config, ['login', 'maxAge'])).toBe('a login may ask for less');
  expect(remarkOn(config, ['session', 'idleTimeout'])).toBeUndefined();
});
