// A password of Redis that is rotated while Postern runs: the next connection is made with the new one, and nothing needs a restart.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { baseConfig, startPosternProcess } from '../support/postern.ts';
import { aclUser, makeAclUser } from '../support/documented-acl.ts';
import { freePort } from '../support/free-port.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { startSentinelGroup } from '../support/redis-sentinel.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';

/** Redis in one of its shapes. */
interface Place extends AsyncDisposable {
  /** Those that Postern signs in at as the ACL user. */
  servers: RedisServer[];
  /** The `redis` section, given the password and where a file with it stands. */
  section: (file: string) => Record<string, unknown>;
  /** What stands in the file. */
  secret: (password: string) => string;
  /** Has others than those servers ask for it, too. */
  setPassword?: (password: string) => Promise<unknown>;
}

const withFile = (file: string) => ({ username: aclUser.username, password: { file } });
const same = (password: string): string => password;

async function oneServer(): Promise<Place> {
  const server = await startRedis();
  const section = (file: string) => ({ url: server.url, ...withFile(file) });
  return { servers: [server], section, secret: same, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

async function urlWithPassword(): Promise<Place> {
  const place = await oneServer();
  const [{ port }] = place.servers as [RedisServer];
  const secret = (password: string): string =>
    `redis://${aclUser.username}:${encodeURIComponent(password)}@127.0.0.1:${port}`;
  return { ...place, section: (file) => ({ url: { file } }), secret };
}

/** The sentinels ask for it as well. */
async function sentinel(): Promise<Place> {
  const group = await startSentinelGroup();
  const { name, servers } = group;
  const nodes = group.sentinels.map(({ port }) => `127.0.0.1:${port}`);
  const section = (file: string) => ({ sentinel: { name, nodes, ...withFile(file) }, ...withFile(file) });
  const rules = ['on', 'resetpass', '-@all', '+sentinel|get-master-addr-by-name', '+sentinel|sentinels'];
  return {
    servers,
    section,
    secret: same,
    setPassword: (password) => group.onSentinels('ACL', 'SETUSER', aclUser.username, ...rules, `>${password}`),
    [Symbol.asyncDispose]: () => group[Symbol.asyncDispose](),
  };
}

async function cluster(): Promise<Place> {
  const { nodes, servers, ...rest } = await startRedisCluster();
  const section = (file: string) => ({
    cluster: { nodes: nodes.map(({ port }) => `127.0.0.1:${port}`) },
    ...withFile(file),
  });
  return { servers, section, secret: same, [Symbol.asyncDispose]: () => rest[Symbol.asyncDispose]() };
}

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-redis-password-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test.each([
  ['one server', oneServer],
  ['a URL that holds it', urlWithPassword],
  ['Sentinel', sentinel],
  ['a Cluster', cluster],
])(
  'a rotated password is taken over by a reload and let in at the next connection: %s',
  async (_what, start) => {
    await using place = await start();
    await makeAclUser(place.servers);
    const file = join(directory, 'password');
    const write = (password: string): void => {
      writeFileSync(`${file}.new`, place.secret(password));
      renameSync(`${file}.new`, file);
    };
    const onAll = (...args: [string, ...string[]]) =>
      Promise.all(place.servers.map((server) => server.command(...args)));
    await place.setPassword?.(aclUser.password);
    write(aclUser.password);
    const registration = { issuer: 'http://localhost:9', clientId: 'shop', clientSecret: 'unused' };
    const postern = await startPosternProcess({
      ...baseConfig(await freePort(), registration),
      redis: place.section(file),
    });
    try {
      const parts = async () => {
        const health = (await (await fetch(`${postern.operationsUrl}/readyz`)).json()) as {
          parts: Record<string, string>;
        };
        return health.parts;
      };
      await until(async () => (await parts())['store'] === 'up');

      const next = 'next/p@ss:word';
      await onAll('ACL', 'SETUSER', aclUser.username, 'resetpass', `>${next}`);
      await place.setPassword?.(next);
      write(next);
      await until(() => postern.output.some((line) => line.includes('"event":"configuration_reloaded"')));
      expect(await parts()).toMatchObject({ store: 'up', configuration: 'up' });

      const connected = async (): Promise<string> => (await onAll('CLIENT', 'LIST')).join('\n');
      await onAll('CLIENT', 'KILL', 'USER', aclUser.username);
      // Those for commands and those for messages.
      await until(async () => {
        const list = await connected();
        return (
          ['name=postern ', 'name=postern-messages '].every((name) => list.includes(name)) &&
          (await parts())['store'] === 'up'
        );
      });
      expect(postern.output.join('\n')).not.toContain(next);
    } finally {
      await postern.stop();
    }
  },
  60_000,
);
