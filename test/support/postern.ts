// Postern as a whole, in this process or in processes of its own, with a configuration that a test states in a few words.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { createGeneration } from '../../src/app.ts';
import type { Config } from '../../src/config/schema.ts';
import { createConfigSchema } from '../../src/config/schema.ts';
import { createReadSecret } from '../../src/config/read-secret.ts';
import { createParts } from '../../src/parts.ts';
import { startServer } from '../../src/server.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { followKeyFiles } from '../../src/tokens/key-files.ts';
import { createKeyRing } from '../../src/tokens/key-ring.ts';
import type { KeyRing } from '../../src/tokens/key-ring.ts';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

/** The configuration file as an object; what a test leaves out is as in `baseConfig`. */
export type ConfigInput = Record<string, unknown>;

/** Who to log in with: what a test provider says of itself. */
export interface Registration {
  issuer: string;
  clientId: string;
  clientSecret: string | undefined;
  allowRedirectUri?: (uri: string) => void;
  allowPostLogoutRedirectUri?: (uri: string) => void;
}

export interface Postern {
  /** What the browser sees. */
  publicUrl: string;
  /** Where it really listens: several processes can share one publicUrl. */
  address: string;
  operationsUrl: string;
  stop(): Promise<void>;
}

/** Postern in this process: its metrics, log lines and store can be looked at. */
export interface LocalPostern extends Postern {
  /** Where gateways ask, once `forwardAuth` is configured. */
  forwardAuthUrl: string | undefined;
  config: Config;
  /** Its keys: `replace` is what a changed file does. */
  ring: KeyRing;
  /** Every log line so far, as text. */
  log: string[];
  metric(name: string): Promise<string[]>;
}

/** A server key as the configuration wants it. */
export const newSessionKey = (): string => randomBytes(32).toString('base64');

/** The smallest useful configuration on loopback, with what a test puts on top. */
export function baseConfig(port: number, registration: Registration, overrides: ConfigInput = {}): ConfigInput {
  return {
    publicUrl: `http://localhost:${port}`,
    listen: `127.0.0.1:${port}`,
    operations: { listen: '127.0.0.1:0' },
    provider: {
      issuer: registration.issuer,
      clientId: registration.clientId,
      ...(registration.clientSecret === undefined ? {} : { clientSecret: registration.clientSecret }),
      scopes: ['openid', 'profile', 'email'],
    },
    session: { keys: [newSessionKey()] },
    log: { level: 'trace', format: 'json' },
    // Nobody stands in front who would have to notice first.
    shutdown: { delay: '0s' },
    ...overrides,
  };
}

/** Registers the addresses that a provider must know of a Postern. */
export function register(registration: Registration, publicUrl: string, basePath = '/bff'): void {
  registration.allowRedirectUri?.(`${publicUrl}${basePath}/callback`);
  registration.allowPostLogoutRedirectUri?.(`${publicUrl}${basePath}/logout/callback`);
}

/** Starts Postern in this process. `overrides` replaces whole top-level keys of the file; `keyClock` is the key ring's clock, in ms. */
export async function startPostern(
  registration: Registration,
  overrides: ConfigInput = {},
  { keyClock = () => performance.now() }: { keyClock?: () => number } = {},
): Promise<LocalPostern> {
  const port = await freePort();
  const readSecret = createReadSecret({ readFile: (path) => readFileSync(path, 'utf8'), env: {} });
  const config = createConfigSchema(readSecret).parse(baseConfig(port, registration, overrides));
  register(registration, config.publicUrl, config.basePath);

  const log: string[] = [];
  const logger = createLogger(config.log, { write: (line: string) => void log.push(line) });
  const metrics = createMetrics();
  const ring = createKeyRing({ keys: config.session.keys.map((key) => key.reveal()), now: keyClock });
  const parts = createParts({ config, ring, log: logger, metrics });
  const keyFiles = followKeyFiles({ config, ring, metrics, audit: parts.audit });
  const server = await startServer({
    generation: createGeneration(config, parts),
    parts,
    states: () => parts.states(),
    log: logger,
    metrics,
    monotonicNow: () => performance.now(),
  });
  if (config.redis !== undefined) await storeIsUp(() => parts.states().store === 'up');
  return {
    publicUrl: config.publicUrl,
    address: server.publicAddress,
    operationsUrl: server.operationsAddress,
    forwardAuthUrl: server.forwardAuthAddress,
    config,
    ring,
    log,
    async metric(name) {
      const text = await metrics.registry.metrics();
      return text.split('\n').filter((line) => line.startsWith(name));
    },
    async stop() {
      await server.drain(2_000);
      keyFiles.close();
    },
  };
}

/** A slow machine may take longer to connect than the first caller waits for it. A store that is not there is not waited for. */
async function storeIsUp(look: () => boolean | Promise<boolean>): Promise<void> {
  await until(look, 4_000).catch(() => undefined);
}

async function isStoreUp(operationsUrl: string): Promise<boolean> {
  const { parts } = (await (await fetch(`${operationsUrl}/readyz`)).json()) as { parts: Record<string, string> };
  return parts['store'] === 'up';
}

/** A Postern in a process of its own, as `postern serve` starts it. */
export interface PosternProcess extends Postern {
  pid: number;
  /** Where its configuration stands. */
  configFile: string;
  /** Everything it printed. */
  output: string[];
  /** Sends a signal; SIGKILL and SIGSTOP included. */
  signal(name: NodeJS.Signals): void;
  /** Its exit code, once it has ended; null after a signal that ended it. */
  exitCode: Promise<number | null>;
}

/**
 * Starts a process and waits until it listens. `input` is the whole configuration: see `baseConfig`; `nodeOptions` are Node's own, such as `--import`;
 * `environment` is added to this process's.
 */
export async function startPosternProcess(
  input: ConfigInput,
  nodeOptions: string[] = [],
  environment: Record<string, string> = {},
): Promise<PosternProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-test-'));
  const file = join(directory, 'postern.yaml');
  await writeFile(file, JSON.stringify(input)); // JSON is YAML.
  const child = spawn(process.execPath, [...nodeOptions, 'src/main.ts', 'serve', '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  const output: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<{ listen: string; operations: string }>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      output.push(line);
      if (line.includes('"msg":"listening"')) resolve(JSON.parse(line) as { listen: string; operations: string });
    });
  }
  const exited = once(child, 'exit');
  // All that it has printed is there by then; its workers print as well.
  const silent = once(child, 'close');
  void silent.then(() => reject(new Error(`Postern ended before it listened:\n${output.join('\n')}`)));
  promise.catch(() => undefined);
  const { listen, operations } = await promise;
  if (input['redis'] !== undefined) await storeIsUp(() => isStoreUp(operations));
  return {
    publicUrl: String(input['publicUrl']),
    address: listen,
    operationsUrl: operations,
    pid: child.pid!,
    configFile: file,
    output,
    signal: (name) => void child.kill(name),
    exitCode: exited.then(([code]) => code as number | null),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGCONT');
        child.kill('SIGTERM');
        await silent;
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}
