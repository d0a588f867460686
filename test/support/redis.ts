// A real redis-server for a test, or Valkey's: on a free port, in a directory of its own, without persistence. It can be stopped, frozen and started again.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { Redis } from 'ioredis';
import { needRedis } from '../../scripts/machine.js';
import { findValkey } from '../../scripts/optional-programs.js';
import { freePort } from './free-port.ts';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Ends the process and with it the data; connections break at once. */
  stop(): Promise<void>;
  /** Starts it again, empty, on the same port. */
  start(): Promise<void>;
  /** SIGSTOP: the sockets stay open and nothing answers, as behind a dead firewall. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /** One command over a connection of the test's own. */
  command(name: string, ...args: (string | number)[]): Promise<unknown>;
  /** Stops it and removes its directory. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A program that speaks Redis's protocol. */
export interface ServerProgram {
  name: string;
  path: string | undefined;
  /** Why there is none on this machine. */
  absence?: string | undefined;
}

const valkeyPath = findValkey();

export const redisProgram: ServerProgram = { name: 'Redis', path: 'redis-server' };
export const valkeyProgram: ServerProgram = {
  name: 'Valkey',
  path: valkeyPath,
  absence: valkeyPath === undefined ? 'there is no valkey-server here' : undefined,
};

/** Starts a redis-server and waits until it answers. `flags` are redis-server's own, such as `--maxmemory 1mb`. */
export function startRedis(...flags: string[]): Promise<RedisServer> {
  return launchRedis({ flags });
}

export interface RedisLaunch {
  /** redis-server unless it is another program. */
  program?: string | undefined;
  flags?: string[];
  /** What stands before all flags: a configuration file, and the mode that it is for. */
  mode?: string[];
  /** What it prints when it can be asked. */
  readyLine?: string;
  /** Present: it speaks TLS only, and the test's own commands go there so. */
  tls?: ConnectionOptions;
}

/** Starts a redis-server that is not an ordinary one. */
export async function launchRedis(launch: RedisLaunch): Promise<RedisServer> {
  const { program = 'redis-server', flags = [], mode = [], readyLine = 'Ready to accept connections', tls } = launch;
  needRedis();
  const directory = await mkdtemp(join(tmpdir(), 'postern-redis-'));
  const port = await freePort();
  const url = `${tls === undefined ? 'redis' : 'rediss'}://127.0.0.1:${port}`;
  let server: ChildProcessByStdio<null, Readable, null> | undefined;

  async function start(): Promise<void> {
    const place = [
      ...(tls === undefined ? [] : ['--port', '0']),
      tls === undefined ? '--port' : '--tls-port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      '--save',
      '',
      '--appendonly',
      'no',
    ];
    server = spawn(program, [...mode, ...place, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
    await printed(server, readyLine);
  }

  async function stop(): Promise<void> {
    if (server === undefined) return;
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
    server = undefined;
  }

  async function command(name: string, ...args: (string | number)[]): Promise<unknown> {
    const client = new Redis(url, { lazyConnect: true, retryStrategy: null, ...(tls && { tls }) });
    await client.connect();
    try {
      return await client.call(name, ...args);
    } finally {
      client.disconnect();
    }
  }

  await start();
  return {
    url,
    port,
    stop,
    start,
    freeze: () => server?.kill('SIGSTOP'),
    thaw: () => server?.kill('SIGCONT'),
    command,
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Resolves at the server's own line that it takes connections. */
async function printed(server: ChildProcessByStdio<null, Readable, null>, line: string): Promise<void> {
  let output = '';
  for await (const chunk of server.stdout.iterator({ destroyOnReturn: false })) {
    output += String(chunk);
    if (!output.includes(line)) continue;
    server.stdout.resume();
    return;
  }
  throw new Error(`${server.spawnfile} did not start:\n${output}`);
}
