// A Redis Cluster on loopback: three masters, and a replica of each that takes its place when it is lost.
import { launchRedis, type RedisLaunch, type RedisServer } from './redis.ts';
import { until } from './until.ts';

export interface RedisCluster extends AsyncDisposable {
  /** For the store's `cluster`. */
  nodes: { host: string; port: number }[];
  servers: RedisServer[];
  /** The server that owns the slot of `key` at the moment. */
  masterOf(key: string): Promise<RedisServer>;
  /** Makes the replica of a master the master; the old one lives on as its replica. */
  failOver(master: RedisServer): Promise<unknown>;
  /** Runs a command on every master. */
  onMasters(name: string, ...args: (string | number)[]): Promise<unknown[]>;
}

const slots = 16_384;
const masters = 3;

/** `flags` go to every server. */
export async function startRedisCluster({
  program,
  flags = [],
}: Pick<RedisLaunch, 'program' | 'flags'> = {}): Promise<RedisCluster> {
  const clusterFlags = [
    '--cluster-enabled',
    'yes',
    '--cluster-node-timeout',
    '1000',
    '--cluster-replica-validity-factor',
    '0',
  ];
  const allFlags = [...clusterFlags, '--repl-diskless-sync-delay', '0', ...flags];
  const servers: RedisServer[] = [];
  for (let index = 0; index < 2 * masters; index += 1) {
    servers.push(await launchRedis({ program, flags: allFlags }));
  }
  const first = servers[0]!;
  for (const [index, server] of servers.entries()) {
    await server.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    if (server !== first) await server.command('CLUSTER', 'MEET', '127.0.0.1', first.port);
    if (index >= masters) continue;
    const [from, to] = [index, index + 1].map((part) => Math.floor((part * slots) / masters));
    // One by one: Redis 6.2 knows no ranges.
    await server.command('CLUSTER', 'ADDSLOTS', ...Array.from({ length: to! - from! }, (_, at) => from! + at));
  }
  await eachHears(servers, (info) => info.includes(`cluster_known_nodes:${servers.length}`));
  for (const [index, server] of servers.slice(masters).entries()) {
    const id = String(await servers[index]!.command('CLUSTER', 'MYID'));
    await server.command('CLUSTER', 'REPLICATE', id);
  }
  await eachHears(servers, (info) => info.includes('cluster_state:ok'));
  await until(async () => {
    const infos = await Promise.all(servers.slice(masters).map((server) => server.command('INFO', 'replication')));
    return infos.every((info) => String(info).includes('master_link_status:up'));
  });

  async function roles(): Promise<{ server: RedisServer; from: number; to: number }[]> {
    const asked = servers.map((server) => server.command('CLUSTER', 'SLOTS'));
    const ranges = (await Promise.any(asked)) as [number, number, [string, number]][];
    return ranges.map(([from, to, [, port]]) => ({
      server: servers.find((server) => server.port === port)!,
      from,
      to,
    }));
  }

  return {
    nodes: servers.slice(0, masters).map(({ port }) => ({ host: '127.0.0.1', port })),
    servers,
    async masterOf(key) {
      const slot = Number(await Promise.any(servers.map((server) => server.command('CLUSTER', 'KEYSLOT', key))));
      return (await roles()).find(({ from, to }) => from <= slot && slot <= to)!.server;
    },
    async failOver(master) {
      for (const server of servers) {
        const info = String(await server.command('INFO', 'replication'));
        if (info.includes(`master_port:${master.port}\r`)) return server.command('CLUSTER', 'FAILOVER');
      }
      throw new Error('this master has no replica');
    },
    async onMasters(name, ...args) {
      const owners = [...new Set((await roles()).map(({ server }) => server))];
      return Promise.all(owners.map((server) => server.command(name, ...args)));
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server[Symbol.asyncDispose]();
    },
  };
}

async function eachHears(servers: RedisServer[], condition: (info: string) => boolean): Promise<void> {
  await until(async () => {
    const infos = await Promise.all(servers.map((server) => server.command('CLUSTER', 'INFO')));
    return infos.every((info) => condition(String(info)));
  });
}
