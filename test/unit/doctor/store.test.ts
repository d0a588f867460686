// What doctor says of servers that are not at hand here: old ones, Valkey, wrong clocks.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { observeStore } from '../../../src/doctor/store.ts';
import type { RedisExamination, ServerExamination } from '../../../src/store/redis-examination.ts';
import { parseInfo } from '../../../src/store/redis-info.ts';
import { reasonIn } from '../../../src/store/redis-permissions.ts';
import { load, rightSave } from '../../support/config-text.ts';

const outcome = load(rightSave(''));
if (outcome.kind !== 'ok') throw new Error('the configuration of this test is wrong');
const { config } = outcome;

const rightInfo = {
  redis_version: '7.4.1',
  redis_mode: 'standalone',
  role: 'master',
  maxmemory_policy: 'noeviction',
  aof_enabled: '1',
};

function observed(info: Record<string, string>, about: string, server: Partial<ServerExamination> = {}) {
  const text = Object.entries({ ...rightInfo, ...info }).map(([name, value]) => `${name}:${value}\r\n`);
  const examination: RedisExamination = {
    kind: 'reached',
    messages: { kind: 'heard' },
    servers: [
      {
        address: 'redis:6379',
        info: parseInfo(`# Server\r\n${text.join('')}`),
        snapshots: undefined,
        clockOffsetMs: 0,
        refusals: [],
        ...server,
      },
    ],
  };
  return observeStore(config, examination).find((observation) => observation.about === about);
}

test.each([
  ['6.2.0', undefined, 'ok'],
  ['7.0.15', undefined, 'ok'],
  ['10.0.0', undefined, 'ok'],
  ['6.0.16', undefined, 'failure'],
  ['5.0.3', undefined, 'failure'],
  // Valkey goes on saying which Redis it is like.
  ['7.2.4', '7.2.5', 'ok'],
  ['7.2.4', '8.1.0', 'ok'],
  ['7.2.4', '7.0.0', 'failure'],
])('Redis %s, Valkey %s: %s', (redis_version, valkey_version, level) => {
  const info = { redis_version, ...(valkey_version !== undefined && { valkey_version }) };
  expect(observed(info, 'version')).toMatchObject({ level });
});

test('a server that does not say its version is not taken for a new one', () => {
  expect(observeVersionless()).toMatchObject({ level: 'failure' });
});

function observeVersionless() {
  const info = parseInfo('role:master\r\n');
  return observed({}, 'version', { info });
}

test.each([
  [0, 'ok'],
  [4_900, 'ok'],
  [90_000, 'warning'],
  [-90_000, 'warning'],
])('a store’s clock that is %d ms ahead: %s', (clockOffsetMs, level) => {
  expect(observed({}, 'store clock', { clockOffsetMs })).toMatchObject({ level });
});

test.each([
  [{ aof_enabled: '1' }, undefined, 'ok'],
  [{ aof_enabled: '0' }, true, 'note'],
  [{ aof_enabled: '0' }, false, 'warning'],
  [{ aof_enabled: '0' }, undefined, 'note'],
])('persistence %j, snapshots %s: %s', (info, snapshots, level) => {
  expect(observed(info, 'persistence', { snapshots })).toMatchObject({ level });
});

test('a server that is nearly full is told of before it refuses logins', () => {
  expect(observed({ used_memory: '95', maxmemory: '100' }, 'memory')).toMatchObject({ level: 'warning' });
  expect(observed({ used_memory: '50', maxmemory: '100' }, 'memory')).toBeUndefined();
});

test.each([
  "ERR The user executing the script can't run this command or subcommand",
  "NOPERM this user has no permissions to run the 'zadd' command",
  "NOPERM User postern has no permissions to run the 'zadd' command",
  "ERR ACL failure in script: User postern has no permissions to run the 'zadd' command",
])('a command that is forbidden is named: %s', (error) => {
  const refusals = [{ command: 'ZADD', error }];
  expect(observed({}, 'permissions', { refusals })).toMatchObject({
    level: 'failure',
    text: expect.stringContaining('zadd'),
  });
});

test.each(["ERR unknown command 'sentinel', with args", 'ERR unknown command `sentinel`, with args'])(
  'a server that is asked as a sentinel is told from one that is away: %s',
  (reason) => {
    expect(observeStore(config, { kind: 'unreachable', reason })).toMatchObject([{ key: 'redis.sentinel' }]);
  },
);

test('every command of the scripts is tried, and no other', () => {
  const source = (name: string): string => readFileSync(join(import.meta.dirname, '../../../src/store', name), 'utf8');
  const called = Array.from(
    source('redis-scripts.ts').matchAll(/redis\.p?call\('([A-Z]+)'/g),
    ([, command]) => command!,
  );
  const trying = source('redis-permissions.ts');
  const one = Array.from(trying.matchAll(/try\('([A-Z]+)'/g), ([, command]) => command!);
  const several = Array.from(
    /in ipairs\(\{([^}]*)\}/.exec(trying)![1]!.matchAll(/'([A-Z]+)'/g),
    ([, command]) => command!,
  );
  expect([...one, ...several].sort()).toEqual([...new Set(called)].sort());
});

test.each([
  ["ERR unknown command 'AUTH', with args beginning with: 'postern' 'canary' ", "ERR unknown command 'AUTH'"],
  [
    "NOPERM no permissions to run the 'hset' command script: 1b5f, on @user_script:12.",
    "NOPERM no permissions to run the 'hset' command",
  ],
  ['ERR one\r\nline', 'ERR one  line'],
])('a server’s error is told without what it repeats: %j', (error, told) => {
  expect(reasonIn(error)).toBe(told);
});
