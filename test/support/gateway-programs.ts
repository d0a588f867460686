// Programs that stand in front of Postern, each started with a configuration that a test gives it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { findEnvoy, findTraefik } from '../../scripts/optional-programs.js';
import { until } from './until.ts';

export interface Gateway {
  url: string;
  stop(): Promise<void>;
}

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

/** Caddy with its sites. */
export function startCaddy(port: number, sites: string): Promise<Gateway> {
  return run(port, async (directory) => {
    const file = join(directory, 'Caddyfile');
    await writeFile(file, `{\n\tadmin off\n\tstorage file_system ${directory}\n}\n${sites}`);
    return ['caddy', 'run', '--config', file, '--adapter', 'caddyfile'];
  });
}

/** HAProxy with its whole configuration. */
export function startHaproxy(port: number, config: string): Promise<Gateway> {
  return run(port, async (directory) => {
    const file = join(directory, 'haproxy.cfg');
    await writeFile(file, config);
    return ['haproxy', '-db', '-f', file];
  });
}

/** Envoy with its whole configuration. */
export function startEnvoy(port: number, bootstrap: string): Promise<Gateway> {
  return run(port, async (directory) => {
    const file = join(directory, 'envoy.yaml');
    await writeFile(file, bootstrap);
    // What is for hot restarts would be shared by all Envoys of this machine.
    return [findEnvoy()!, '-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'];
  });
}

/** Traefik with its static configuration, of which the providers are the test's, and a file of routers. */
export function startTraefik(port: number, entryPoints: string, routers: string): Promise<Gateway> {
  return run(port, async (directory) => {
    const [file, routersFile] = [join(directory, 'traefik.yaml'), join(directory, 'routers.yaml')];
    const rest = { global: { checkNewVersion: false }, providers: { file: { filename: routersFile } } };
    const sections = Object.entries(rest).map(([section, value]) => `${section}: ${JSON.stringify(value)}`);
    await writeFile(file, [entryPoints, ...sections].join('\n'));
    await writeFile(routersFile, routers);
    return [findTraefik()!, `--configFile=${file}`];
  });
}

/** Starts the command that `prepare` gives, in a directory of its own, and waits until it leads somewhere. */
async function run(port: number, prepare: (directory: string) => Promise<string[]>): Promise<Gateway> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-gateway-'));
  // nginx started by root works as somebody else.
  await chmod(directory, 0o777);
  const [program = '', ...parameters] = await prepare(directory);
  const child = spawn(program, parameters, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOME: directory },
  });
  const said: string[] = [];
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  const ended = once(child, 'exit');
  const url = `http://localhost:${port}`;
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${program} ended:\n${said.join('')}`);
    return leadsSomewhere(port);
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

// A program may listen before it has read where to.
async function leadsSomewhere(port: number): Promise<boolean> {
  try {
    const answer = await request(`http://127.0.0.1:${port}/bff/session`, { headers: { host: `localhost:${port}` } });
    await answer.body.dump();
    return answer.statusCode !== 404;
  } catch {
    return false;
  }
}
