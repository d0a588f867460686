// Postern as it ships, compiled and in processes of its own, with sessions that were signed in at a real provider.
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { request } from 'undici';
import type { ConfigInput, Postern } from '../support/postern.ts';
import { freePort } from '../support/free-port.ts';
import { baseConfig, newSessionKey, register } from '../support/postern.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { signIn } from '../support/signed-in.ts';
import { connections } from './load.ts';
import type { Child, Cpus } from './processes.ts';
import { startProcess } from './processes.ts';
import type { Running } from './variants.ts';
import { fetchHeaders } from './variants.ts';

const root = join(import.meta.dirname, '../..');

export interface Build {
  /** Compiled main.js. */
  main: string;
  directory: string;
  remove: () => Promise<void>;
}

/** Compiles src/ into a directory of its own, so that neither type stripping nor a stale dist/ is measured. */
export async function buildPostern(): Promise<Build> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-bench-'));
  await copyFile(join(root, 'package.json'), join(directory, 'package.json'));
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const options = ['-p', root, '--noCheck', '--sourceMap', 'false', '--outDir', join(directory, 'dist')];
  await promisify(execFile)(process.execPath, [tsc, ...options]);
  return {
    main: join(directory, 'dist/main.js'),
    directory,
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

export interface PosternChild extends Postern, Child {
  /** From spawn to /readyz saying that the process is ready and that store and provider are up. */
  readyAfterMs: number;
}

/** A configuration for the measurements: as one would run it, without a line in the log for each call. */
export function benchConfig(
  port: number,
  provider: RealProvider,
  upstream: string,
  overrides: ConfigInput = {},
): ConfigInput {
  const config = baseConfig(port, provider, {
    routes: [
      { path: '/api', upstream },
      { path: '/open', upstream, auth: 'none' },
    ],
    log: { level: 'warn', format: 'json', access: false },
    ...overrides,
  });
  register(provider, String(config['publicUrl']));
  return config;
}

/** Starts `postern serve` and asks /readyz until nothing is missing. */
export async function startPosternChild(cpus: Cpus, build: Build, config: ConfigInput): Promise<PosternChild> {
  const port = await freePort();
  const operationsPort = await freePort();
  const file = join(build.directory, `postern-${port}.yaml`);
  const { provider, session } = config as { provider: { clientSecret: string }; session: { keys: [string] } };
  const secretFile = async (name: string, value: string) => {
    const secret = `${file}.${name}`;
    await writeFile(secret, value);
    return { file: secret };
  };
  const text = JSON.stringify({
    ...config,
    listen: `127.0.0.1:${port}`,
    operations: { listen: `127.0.0.1:${operationsPort}` },
    provider: { ...provider, clientSecret: await secretFile('secret', provider.clientSecret) },
    session: { ...session, keys: [await secretFile('key', session.keys[0])] },
  });
  await writeFile(file, text); // JSON is YAML.
  const operationsUrl = `http://127.0.0.1:${operationsPort}`;
  const startedAt = performance.now();
  const child = startProcess(cpus, process.execPath, [build.main, 'serve', '--config', file]);
  await ready(`${operationsUrl}/readyz`, child);
  return {
    ...child,
    readyAfterMs: performance.now() - startedAt,
    publicUrl: String(config['publicUrl']),
    address: `http://127.0.0.1:${port}`,
    operationsUrl,
  };
}

export interface PosternOptions {
  cpus: Cpus;
  build: Build;
  provider: RealProvider;
  upstreamUrl: string;
  redisUrl: string;
}

export type PosternVariants = Record<'memory' | 'redis' | 'redisUncached' | 'withoutSession', Running>;

/** Postern with each of its stores, each with one signed-in session; and the two ways in which it is asked without looking for one. */
export async function startPosternVariants(options: PosternOptions): Promise<PosternVariants> {
  const redis = { url: options.redisUrl };
  const uncached = { keys: [newSessionKey()], nearCache: { enabled: false } };
  const cached = await startSignedIn('Postern, Redis', options, { redis });
  const { headers, url, ...asked } = cached.variants[0]!;
  const anonymous = Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'cookie'));
  const open = { ...asked, name: 'Postern, auth: none', url: url.replace('/api/', '/open/'), headers, bearer: false };
  const refused = {
    ...asked,
    name: 'Postern, anonymous: 401',
    url,
    headers: anonymous,
    status: 401,
    bearer: undefined,
  };
  return {
    memory: await startSignedIn('Postern, memory', options, {}),
    redis: cached,
    redisUncached: await startSignedIn('Postern, Redis, no near cache', options, { redis, session: uncached }),
    withoutSession: { variants: [open, refused], stop: cached.stop },
  };
}

const workers = 2;

/** With two workers on the one CPU that a proxy under load has: the work is compared, not the speed. So each worker gets the connections that else the one process has. */
export async function startPosternWorkers(options: PosternOptions): Promise<Running> {
  const { variants, stop } = await startSignedIn(`Postern, Redis, ${workers} workers`, options, {
    redis: { url: options.redisUrl },
    workers,
  });
  return { variants: variants.map((variant) => ({ ...variant, connections: workers * connections })), stop };
}

async function startSignedIn(name: string, options: PosternOptions, overrides: ConfigInput): Promise<Running> {
  const { cpus, build, provider, upstreamUrl } = options;
  const config = benchConfig(await freePort(), provider, upstreamUrl, overrides);
  const postern = await startPosternChild(cpus, build, config);
  const { cookie } = await signIn(postern, provider);
  return {
    variants: [
      {
        name,
        pid: postern.pid,
        url: `${postern.address}/api/x`,
        // Spelled like this, because wrk adds a Host of its own to any other spelling.
        headers: { ...fetchHeaders, Host: new URL(postern.publicUrl).host, cookie },
        status: 200,
        bearer: true,
        usesRedis: 'redis' in overrides,
      },
    ],
    stop: () => postern.stop(),
  };
}

// The pause is the precision of the figure.
async function ready(url: string, child: Child): Promise<void> {
  const ended = child.ended.then((): never => {
    throw new Error('Postern ended before it was ready');
  });
  ended.catch(() => undefined);
  while (!(await Promise.race([isReady(url), ended]))) await pause(2);
}

async function isReady(url: string): Promise<boolean> {
  try {
    const { body } = await request(url);
    return ((await body.json()) as { status: string }).status === 'ready';
  } catch {
    return false;
  }
}
