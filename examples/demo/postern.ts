// Starts the built Postern with a copy of config/demo.yaml. Secrets go to it by environment and are written nowhere.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';
import { freePortNear } from './ports.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface DemoPosternOptions {
  publicUrl: string;
  issuer: string;
  apiUrl: string;
  /** Environment variables that the configuration names. */
  secrets: Record<string, string>;
  redisUrl: string | undefined;
  /** Asks Postern to end; five seconds later it is not asked any more. */
  signal: AbortSignal;
}

/** Starts Postern and waits until it serves, or has ended: `isReady` says which. `ended` gives its exit code. */
export async function startPostern(options: DemoPosternOptions) {
  const operationsPort = await freePortNear(9090);
  const folder = mkdtempSync(join(tmpdir(), 'postern-demo-'));
  const configPath = join(folder, 'postern.yaml');
  writeFileSync(configPath, configurationFor(options, operationsPort));

  const child = spawn(process.execPath, [join(root, 'dist/main.js'), 'serve', '--config', configPath], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...options.secrets, DEMO_REDIS_URL: options.redisUrl },
    signal: options.signal,
    // As Ctrl+C: nobody stands in front who would have to notice first.
    killSignal: 'SIGINT',
  });
  // An aborted child is reported as an error first; what counts is its exit.
  child.on('error', () => setTimeout(() => child.kill('SIGKILL'), 5000).unref());
  // Whatever this process dies of, nothing stays behind.
  process.once('exit', () => child.kill('SIGKILL'));
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (code) => {
      rmSync(folder, { recursive: true });
      resolve(code ?? 1);
    });
  });
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;

  while (!hasEnded() && !(await isServing(`http://127.0.0.1:${operationsPort}/readyz`))) await wait(50);
  return { configPath, isReady: !hasEnded(), ended };
}

function configurationFor(options: DemoPosternOptions, operationsPort: number): string {
  const config = parseDocument(readFileSync(join(root, 'config/demo.yaml'), 'utf8'));
  config.setIn(['publicUrl'], options.publicUrl);
  config.setIn(['listen'], `127.0.0.1:${new URL(options.publicUrl).port}`);
  config.setIn(['operations', 'listen'], `127.0.0.1:${operationsPort}`);
  config.setIn(['provider', 'issuer'], options.issuer);
  config.setIn(['routes', 0, 'upstream'], options.apiUrl);
  config.setIn(['routes', 1, 'upstream'], options.apiUrl);
  config.setIn(['spa', 'directory'], join(root, 'examples/demo/spa'));
  if (options.redisUrl !== undefined) config.setIn(['redis'], { url: { env: 'DEMO_REDIS_URL' } });
  return config.toString();
}

async function isServing(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}
