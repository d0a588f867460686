// A Sentinel group on loopback: a primary, a replica that follows it, and three sentinels that may put it in the primary's place.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchRedis, type RedisLaunch, type RedisServer } from './redis.ts';
import { until } from './until.ts';

export interface SentinelGroup extends AsyncDisposable {
  /** What the sentinels call the group. */
  name: string;
  sentinels: { host: string; port: number }[];
  /** The two servers; which of them is the primary changes. */
  servers: RedisServer[];
  /** The server that the sentinels name at the moment. */
  primary(): Promise<RedisServer>;
  /** Runs a command on every sentinel. */
  onSentinels(name: string, ...args: (string | number)[]): Promise<unknown[]>;
  /** Lets the sentinels make the replica the primary; the old one lives on as its replica. */
  failOver(): Promise<unknown>;
}

const downAfterMs = 500;

/** `flags` go to both servers. */
export async function startSentinelGroup({
  program,
  flags = [],
}: Pick<RedisLaunch, 'program' | 'flags'> = {}): Promise<SentinelGroup> {
  const name = 'postern-test';
  const first = await launchRedis({ program, flags });
  const second = await launchRedis({ program, flags: [...flags, '--replicaof', '127.0.0.1', String(first.port)] });
  const servers = [first, second];
  await until(async () => String(await second.command('INFO', 'replication')).includes('master_link_status:up'));

  const directory = await mkdtemp(join(tmpdir(), 'postern-sentinel-'));
  const sentinels: RedisServer[] = [];
  for (const index of [0, 1, 2]) {
    const file = join(directory, `${index}.conf`);
    const lines = [
      `sentinel monitor ${name} 127.0.0.1 ${first.port} 2`,
      `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
      `sentinel failover-timeout ${name} 5000`,
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    sentinels.push(await launchRedis({ program, mode: [file, '--sentinel'], readyLine: '+monitor' }));
  }
  const info = () => Promise.all(sentinels.map((sentinel) => sentinel.command('INFO', 'sentinel')));
  await until(async () => (await info()).every((text) => /slaves=1,sentinels=3/.test(String(text))));

  return {
    name,
    sentinels: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
    servers,
    async primary() {
      const answers = sentinels.map((sentinel) => sentinel.command('SENTINEL', 'get-master-addr-by-name', name));
      const [, port] = (await Promise.any(answers)) as [string, string];
      return servers.find((server) => String(server.port) === port)!;
    },
    onSentinels: (...command) => Promise.all(sentinels.map((server) => server.command(...command))),
    failOver: () => sentinels[0]!.command('SENTINEL', 'FAILOVER', name),
    async [Symbol.asyncDispose]() {
      for (const server of [...sentinels, ...servers]) await server[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
