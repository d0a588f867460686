// The image, made from its Dockerfile's instructions and run as a container is; no container engine is needed.
// Root on Linux runs it behind walls; what everybody else does is in test/support/container.ts.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { inside, isWalled, mount, startContainer } from '../support/container.ts';
import type { Container } from '../support/container.ts';
import { freePort } from '../support/free-port.ts';
import { buildImage } from '../support/image.ts';
import type { Image } from '../support/image.ts';
import { baseConfig, newSessionKey, register } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { signIn } from '../support/signed-in.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let image: Image;
let provider: RealProvider;
let api: RecordingUpstream;
/** Every path of it, before anything is mounted. */
let built: string[];
beforeAll(async () => {
  [provider, api] = await Promise.all([startRealProvider(), RecordingUpstream.start()]);
  image = await buildImage();
  built = readdirSync(image.root, { recursive: true, encoding: 'utf8' }).sort();
}, 240_000);
afterAll(async () => {
  await Promise.all([provider.close(), api.stop()]);
  await image.remove();
});

test('the image holds one program, which is Node: nothing in it can install, compile or open a shell', () => {
  expect(built.filter((path) => /(^|\/)s?bin\/[^/]*$/.test(path) && !path.includes('node_modules'))).toEqual([
    'usr/local/bin/node',
  ]);
  expect(built.filter((path) => /^app\/[^/]*$/.test(path))).toEqual([
    'app/LICENSE',
    'app/dist',
    'app/node_modules',
    'app/package.json',
  ]);
  expect(built.filter((path) => /\.(ts|mts|cts|map)$|node_modules\/(npm|typescript|jest)\//.test(path))).toEqual([]);
});

test('the image holds every production dependency in the version of the lock file, and no other package', () => {
  const installed = packagesIn(join(image.root, 'app/node_modules/.package-lock.json'));
  const locked = packagesIn(join(import.meta.dirname, '../../package-lock.json'));
  const production = locked.filter(([path, { dev }]) => path !== '' && dev !== true);
  const versions = (packages: Package[]): string[] => packages.map(([path, { version }]) => `${path} ${version}`);
  expect(versions(installed)).toEqual(versions(production));
});

test('nothing in the image can be changed by a user who owns nothing in it', () => {
  expect(built.filter((path) => (statSync(join(image.root, path)).mode & 0o002) !== 0)).toEqual([]);
});

test('on a read-only root, as a user who owns nothing, it is ready, serves, ends with 0 on SIGTERM and has written nothing', async () => {
  const [port, operationsPort] = [await freePort(), await freePort()];
  const config = baseConfig(port, provider, { routes: [{ path: '/api', upstream: api.url }] });
  register(provider, String(config['publicUrl']));
  const secrets = { 'client-secret': provider.clientSecret!, 'session-key': newSessionKey() };
  for (const [name, text] of Object.entries(secrets)) await mount(image, `/run/secrets/${name}`, `${text}\n`);
  const mounted = {
    ...config,
    operations: { listen: `127.0.0.1:${operationsPort}` },
    provider: {
      ...(config['provider'] as object),
      clientSecret: { file: inside(image, '/run/secrets/client-secret') },
    },
    session: { keys: [{ file: inside(image, '/run/secrets/session-key') }] },
  };
  await mount(image, '/app/postern.yaml', JSON.stringify(mounted)); // JSON is YAML.
  const before = snapshot();

  const container = await startContainer(image, image.command);
  try {
    const operationsUrl = `http://127.0.0.1:${operationsPort}`;
    await until(async () => (await readinessAt(operationsUrl, container)) === 'ready');
    const address = `http://127.0.0.1:${port}`;
    const alice = await signIn({ publicUrl: String(config['publicUrl']), address, operationsUrl, stop }, provider);
    expect((await alice.call('/api/orders')).status).toBe(200);
    expect(api.requests.at(-1)?.headers['authorization']).toMatch(/^Bearer ./);
    if (isWalled) expect(standingOf(container)).toEqual({ uids: '65532', groups: '', capabilities: '0', root: 'ro' });

    expect(await checkHealth(operationsPort)).toBe(0);
    process.kill(container.pid, 'SIGTERM');
    await until(() => container.hasEnded());
    expect(await container.exitCode).toBe(0);
    expect(await checkHealth(operationsPort)).toBe(1);
    expect(snapshot()).toEqual(before);
  } finally {
    await stop();
  }

  async function stop(): Promise<void> {
    if (container.hasEnded()) return;
    process.kill(container.pid, 'SIGKILL');
    await container.exitCode;
  }
});

test('the heap in the image is half of the memory that its container may use', async () => {
  const limit = 256 * 1024 * 1024;
  for (const place of limitFiles()) await mount(image, place, `${limit}\n`);
  const script = `const { heap_size_limit: heap } = require('v8').getHeapStatistics();
    const memory = Math.min(process.constrainedMemory() || Infinity, require('os').totalmem());
    console.log(heap / memory, memory)`;
  const container = await startContainer(image, ['node', '-e', script]);
  expect(await container.exitCode).toBe(0);
  const [share, seen] = container.output[0]!.split(' ').map(Number);
  // What is above a half is the space for new objects.
  expect(share).toBeGreaterThanOrEqual(0.5);
  expect(share).toBeLessThan(0.6);
  if (isWalled) expect(seen).toBe(limit);
});

/** Runs the image's health check against another port than the one it is for. */
async function checkHealth(port: number): Promise<number | null> {
  const command = image.healthCheck.map((word) => word.replace(':9090/', `:${port}/`));
  return (await startContainer(image, command)).exitCode;
}

async function readinessAt(url: string, container: Container): Promise<string> {
  if (container.hasEnded()) throw new Error(`It ended before it was ready:\n${container.output.join('\n')}`);
  try {
    const { body } = await request(`${url}/readyz`);
    return ((await body.json()) as { status: string }).status;
  } catch {
    return 'silent';
  }
}

/** Who the process is, what it may do, and whether it could write anywhere. */
function standingOf({ pid }: Container): Record<string, string> {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(status)![1]!;
  const [, root] = / \/ (ro|rw)\b/.exec(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'))!;
  return {
    uids: [...new Set(`${field('Uid')}\t${field('Gid')}`.split('\t'))].join(),
    groups: field('Groups'),
    capabilities: field('CapEff').replace(/^0+(?=.)/, ''),
    root: root!,
  };
}

/** Where the memory limit of this process's cgroup is written: version 2, else version 1. */
function limitFiles(): string[] {
  const groups = readFileSync('/proc/self/cgroup', 'utf8');
  const group = (/:memory:(.*)$/m.exec(groups) ?? /^0::(.*)$/m.exec(groups))![1]!;
  return groups.startsWith('0::')
    ? [join('/sys/fs/cgroup', group, 'memory.max'), join('/sys/fs/cgroup', group, 'memory.high')]
    : ['memory.limit_in_bytes', 'memory.soft_limit_in_bytes'].map((name) => join('/sys/fs/cgroup/memory', group, name));
}

function snapshot(): string[] {
  return readdirSync(image.root, { recursive: true, encoding: 'utf8' }).map((path) => {
    const { size, mtimeMs } = statSync(join(image.root, path));
    return `${path} ${size} ${mtimeMs}`;
  });
}

type Package = [path: string, { version: string; dev?: boolean }];

function packagesIn(lockFile: string): Package[] {
  return Object.entries((JSON.parse(readFileSync(lockFile, 'utf8')) as { packages: object }).packages) as Package[];
}
