// Real gateways in front of Postern, run with the recipes of examples/gateways: only addresses are put in their place.
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { request } from 'undici';
import { until } from './until.ts';

export interface Gateway {
  url: string;
  stop(): Promise<void>;
}

/** Host and port of what stands behind a gateway. */
export interface Behind {
  postern: string;
  decisions: string;
  api: string;
}

export interface GatewayKind {
  name: string;
  /** @param port where it listens */
  start(port: number, behind: Behind): Promise<Gateway>;
}

const nginx: GatewayKind = {
  name: 'nginx',
  async start(port, { postern, decisions, api }) {
    const server = (await readRecipe('nginx.conf'))
      .replace('listen 80;', `listen 127.0.0.1:${port};`)
      .replace('server_name shop.example.com;', 'server_name localhost;')
      .replaceAll('postern:8080', postern)
      .replaceAll('postern:9091', decisions)
      .replaceAll('orders:8080', api);
    return startNginx(port, server);
  },
};

/** nginx with what stands in its http block. */
export function startNginx(port: number, server: string): Promise<Gateway> {
  return run(port, async (directory) => {
    const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (place) => `${place}_temp_path ${directory}/${place};`,
    );
    const file = join(directory, 'nginx.conf');
    await writeFile(
      file,
      `daemon off; worker_processes 1; pid ${directory}/pid; error_log stderr crit;
       events { worker_connections 256; }
       http { access_log off; ${places.join(' ')} ${server} }`,
    );
    return ['nginx', '-e', 'stderr', '-c', file];
  });
}

const caddy: GatewayKind = {
  name: 'Caddy',
  async start(port, { postern, decisions, api }) {
    const site = (await readRecipe('Caddyfile'))
      .replace('http://shop.example.com', `http://localhost:${port}`)
      .replaceAll('postern:8080', postern)
      .replaceAll('postern:9091', decisions)
      .replaceAll('orders:8080', api);
    return run(port, async (directory) => {
      const file = join(directory, 'Caddyfile');
      await writeFile(file, `{\n\tadmin off\n\tstorage file_system ${directory}\n}\n${site}`);
      return ['caddy', 'run', '--config', file, '--adapter', 'caddyfile'];
    });
  },
};

export const gatewayKinds: readonly GatewayKind[] = [nginx, caddy];

function readRecipe(name: string): Promise<string> {
  return readFile(new URL(`../../examples/gateways/${name}`, import.meta.url), 'utf8');
}

/** Starts the command that `prepare` gives, in a directory of its own, and waits until it answers. */
async function run(port: number, prepare: (directory: string) => Promise<string[]>): Promise<Gateway> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-gateway-'));
  // nginx started by root works as somebody else.
  await chmod(directory, 0o777);
  const [program = '', ...parameters] = await prepare(directory);
  const child = spawn(program, parameters, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOME: directory },
  });
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const ended = once(child, 'exit');
  const url = `http://localhost:${port}`;
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${program} ended:\n${said.join('')}`);
    return answers(`http://127.0.0.1:${port}/`);
  });
  return {
    url,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await request(url)).body.dump();
    return true;
  } catch {
    return false;
  }
}
