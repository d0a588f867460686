// `postern doctor` on real Redis servers: what they say of themselves, what they let Postern do, and that nothing is left in them.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeCertificate } from '../support/certificate.ts';
import { aclUser, documentedRules, makeAclUser } from '../support/documented-acl.ts';
import { describeOn } from '../support/describe-on.ts';
import { configText, doctorProcess, examined, failuresIn, summaryOf } from '../support/doctor.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { startSentinelGroup } from '../support/redis-sentinel.ts';
import { launchRedis, redisProgram, startRedis, valkeyProgram } from '../support/redis.ts';
import type { RedisServer, ServerProgram } from '../support/redis.ts';
import { until } from '../support/until.ts';

let op: MisbehavingProvider;
beforeAll(async () => {
  op = await startMisbehavingProvider();
});
afterAll(() => op.close());

/** What the report says of the store, with this `redis` section. */
async function storeReport(redis: Record<string, unknown>) {
  const { code, report } = await examined(configText(op, { redis }));
  return { code, summary: summaryOf(report.store.observations), failures: failuresIn(report), store: report.store };
}

for (const program of [redisProgram, valkeyProgram])
  describeOn(`one server of ${program.name}`, program.absence, () => oneServer(program));

function oneServer({ path: program }: ServerProgram): void {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await launchRedis({ program });
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  test('that is right is said to be, and finds nothing left in it', async () => {
    const { code, summary, store } = await storeReport({ url: redis.url });
    expect(code).toBe(0);
    expect(store.kind).toBe('server');
    expect(summary).toEqual([
      'ok reach',
      'ok version',
      'ok maxmemory-policy',
      // These servers run without any.
      'warning persistence',
      'ok permissions',
      'ok store clock',
      'ok messages',
    ]);
    expect(await redis.command('KEYS', '*')).toEqual([]);
    expect(await redis.command('PUBSUB', 'CHANNELS')).toEqual([]);
  });

  test('is let go of when everything has been asked: the process ends by itself', async () => {
    const { code, stdout, stderr } = await doctorProcess(configText(op, { redis: { url: redis.url } }));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('postern.yaml: everything would work\n');
  });

  test('that appends to a file is said to keep sessions over a restart', async () => {
    await redis.command('CONFIG', 'SET', 'appendonly', 'yes');
    const { summary } = await storeReport({ url: redis.url });
    await redis.command('CONFIG', 'SET', 'appendonly', 'no');
    expect(summary).toContain('ok persistence');
  });

  test.each([
    ['100mb', 'failure', 1],
    ['0', 'warning', 0],
  ])('that evicts sessions, with maxmemory %s, is a %s', async (limit, level, exitCode) => {
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    await redis.command('CONFIG', 'SET', 'maxmemory', limit);
    const { code, summary } = await storeReport({ url: redis.url });
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    expect(code).toBe(exitCode);
    expect(summary).toContain(`${level} maxmemory-policy`);
  });

  test('that is full is told of, with its own words', async () => {
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    const { code, summary, failures } = await storeReport({ url: redis.url });
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    expect(code).toBe(1);
    expect(summary).toContain('warning memory');
    expect(failures).toMatchObject([{ about: 'commands', text: expect.stringMatching(/set.*OOM/) }]);
  });

  test('that takes no writes without replicas is told of', async () => {
    await redis.command('CONFIG', 'SET', 'min-replicas-to-write', '1');
    const { summary, failures } = await storeReport({ url: redis.url });
    await redis.command('CONFIG', 'SET', 'min-replicas-to-write', '0');
    expect(summary).toContain('ok min-replicas-to-write');
    expect(failures).toMatchObject([{ about: 'commands', text: expect.stringContaining('NOREPLICAS') }]);
  });

  test('with the documented user has nothing to complain of (SES-16)', async () => {
    await makeAclUser([redis]);
    const { code, summary } = await storeReport({ url: redis.url, ...aclUser, database: 3 });
    expect(code).toBe(0);
    expect(summary).toEqual(expect.arrayContaining(['note persistence', 'ok permissions', 'ok messages']));
  });

  test('names every command that the user lacks, one by one, and leaves nothing even where it may not delete', async () => {
    const commands = (await documentedRules()).filter((rule) => rule.startsWith('+'));
    // These open and use the connection itself; without them it is no question of a single command.
    const ofConnections = /^\+(client|cluster|select|ping|info|subscribe|readonly|readwrite|asking|eval|evalsha)/;
    const ofScripts = commands.filter((rule) => !ofConnections.test(rule)).map((rule) => rule.slice(1));
    expect(ofScripts.length).toBeGreaterThan(15);
    for (const command of ofScripts) {
      await makeAclUser([redis]);
      await redis.command('ACL', 'SETUSER', aclUser.username, `-${command}`);
      const { code, store } = await storeReport({ url: redis.url, ...aclUser });
      expect(code).toBe(1);
      expect(store.observations).toContainEqual({
        about: 'permissions',
        level: 'failure',
        text: `the user may not use ${command} on postern:*; docs/redis.md has the whole ACL rule`,
        key: 'redis.username',
      });
    }
    expect(await redis.command('KEYS', '*')).toEqual([]);
  });

  test.each([
    ['-eval', 'eval'],
    ['-evalsha', 'evalsha'],
  ])('names %s, without which no script runs', async (rule, command) => {
    await makeAclUser([redis]);
    await redis.command('ACL', 'SETUSER', aclUser.username, rule);
    const { failures } = await storeReport({ url: redis.url, ...aclUser });
    expect(failures).toMatchObject([
      { about: 'permissions', text: expect.stringContaining(`may not use ${command} on`) },
    ]);
  });

  test('says that the user lacks the channel, or the keys', async () => {
    await makeAclUser([redis]);
    await redis.command('ACL', 'SETUSER', aclUser.username, 'resetchannels');
    const channels = await storeReport({ url: redis.url, ...aclUser });
    expect(channels.failures).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ about: 'messages', text: expect.stringContaining('&postern:*') }),
      ]),
    );
    await makeAclUser([redis]);
    await redis.command('ACL', 'SETUSER', aclUser.username, 'resetkeys', '~other:*');
    const keys = await storeReport({ url: redis.url, ...aclUser });
    expect(keys.failures).toMatchObject([{ about: 'permissions', text: expect.stringContaining('on postern:*') }]);
  });

  test('that refuses the password is told apart from one that is not there', async () => {
    await makeAclUser([redis]);
    const { failures } = await storeReport({ url: redis.url, username: aclUser.username, password: 'wrong' });
    expect(failures).toMatchObject([
      { about: 'reach', text: expect.stringContaining('WRONGPASS'), key: 'redis.password' },
    ]);
  });

  test('that is taken for a Cluster, or for a sentinel, is told of', async () => {
    const nodes = [`127.0.0.1:${redis.port}`];
    const asCluster = await storeReport({ cluster: { nodes } });
    expect(asCluster.failures).toMatchObject([
      { about: 'reach', text: expect.stringContaining('no Cluster'), key: 'redis.cluster' },
    ]);
    const asSentinel = await storeReport({ sentinel: { name: 'shop', nodes } });
    expect(asSentinel.failures).toMatchObject([
      { about: 'reach', text: expect.stringContaining('no sentinel'), key: 'redis.sentinel' },
    ]);
  });

  test('that has frozen is given up soon', async () => {
    redis.freeze();
    const { code, failures } = await storeReport({ url: redis.url });
    redis.thaw();
    expect(code).toBe(1);
    expect(failures).toMatchObject([{ about: 'reach', key: 'redis' }]);
  });
}

test('a replica is told of, because it takes no writes', async () => {
  await using primary = await startRedis('--repl-diskless-sync-delay', '0');
  await using replica = await startRedis('--replicaof', '127.0.0.1', String(primary.port));
  await until(async () => String(await replica.command('INFO', 'replication')).includes('master_link_status:up'));
  const { failures } = await storeReport({ url: replica.url });
  expect(failures).toEqual(
    expect.arrayContaining([expect.objectContaining({ about: 'mode', text: expect.stringContaining('replica') })]),
  );
});

test('a certificate of nobody’s is told apart from a server that is away', async () => {
  const certificate = makeCertificate(['127.0.0.1']);
  const directory = mkdtempSync(join(tmpdir(), 'postern-doctor-'));
  writeFileSync(join(directory, 'cert'), certificate.cert);
  writeFileSync(join(directory, 'key'), certificate.key);
  const flags = ['--tls-cert-file', join(directory, 'cert'), '--tls-key-file', join(directory, 'key')];
  await using redis = await launchRedis({
    flags: [...flags, '--tls-auth-clients', 'no'],
    tls: { ca: certificate.cert },
  });
  const trusting = await storeReport({ url: redis.url, tls: { ca: { file: join(directory, 'cert') } } });
  expect(trusting.failures).toEqual([]);
  const doubting = await storeReport({ url: redis.url });
  expect(doubting.failures).toMatchObject([{ about: 'reach', key: 'redis.tls.ca.file' }]);
  rmSync(directory, { recursive: true });
});

test('of a Cluster every master is asked, and one of them taken for a lone server is told of', async () => {
  await using cluster = await startRedisCluster();
  const nodes = cluster.nodes.map(({ host, port }) => `${host}:${port}`);
  const { code, summary, store } = await storeReport({ cluster: { nodes } });
  expect(code).toBe(0);
  expect(store.kind).toBe('cluster');
  expect(summary.filter((line) => line === 'ok permissions')).toHaveLength(3);
  expect(summary).toEqual(expect.arrayContaining(['ok messages', 'note min-replicas-to-write']));
  for (const node of nodes) expect(JSON.stringify(store.observations)).toMatch(new RegExp(`${node}: (Redis|Valkey) `));
  expect(await cluster.onMasters('KEYS', '*')).toEqual([[], [], []]);

  await makeAclUser(cluster.servers);
  expect(await storeReport({ cluster: { nodes }, ...aclUser })).toMatchObject({ code: 0 });

  const alone = await storeReport({ url: `redis://${nodes[0]!}` });
  expect(alone.failures).toEqual(
    expect.arrayContaining([expect.objectContaining({ about: 'mode', key: 'redis.cluster' })]),
  );
}, 180_000);

test('behind sentinels the primary is asked, and a sentinel taken for a server is told of', async () => {
  await using group = await startSentinelGroup({ flags: ['--repl-diskless-sync-delay', '0'] });
  const nodes = group.sentinels.map(({ host, port }) => `${host}:${port}`);
  const { code, store } = await storeReport({ sentinel: { name: group.name, nodes } });
  const primary = await group.primary();
  expect(code).toBe(0);
  expect(store.kind).toBe('sentinel');
  expect(store.observations[0]!.text).toBe(
    `the primary of ${group.name}, which the sentinels name: 127.0.0.1:${primary.port}`,
  );

  const asServer = await storeReport({ url: `redis://${nodes[0]!}` });
  expect(asServer.code).toBe(1);
  expect(asServer.failures).toEqual(
    expect.arrayContaining([expect.objectContaining({ about: 'mode', key: 'redis.sentinel' })]),
  );
}, 180_000);

test('without a redis section sessions are said to end with the process', async () => {
  const { code, report } = await examined(configText(op));
  expect(code).toBe(0);
  expect(report.store).toMatchObject({ kind: 'memory', observations: [{ level: 'note', key: 'redis' }] });
});
