// What is watched, and what it needs: one Postern in a process of its own with the probe in it, a Redis, a provider whose tokens live for seconds, an API.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { freePort } from '../support/free-port.ts';
import { baseConfig, register, startPosternProcess } from '../support/postern.ts';
import type { PosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { startApi } from './api.ts';
import type { Api } from './api.ts';
import type { Reading } from './probe.ts';

/** How the probe's lines begin. */
const readingMark = 'reading ';

export interface House {
  postern: PosternProcess;
  provider: RealProvider;
  api: Api;
  /** What Postern holds now, after garbage collection. One at a time. `objects`: those too, for which Postern stands still for a second or so. */
  read(extent?: 'objects'): Promise<Reading>;
  /** Its log lines of level error and above. */
  errors(): string[];
  close(): Promise<void>;
}

export async function startHouse(): Promise<House> {
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closing.splice(0).reverse()) await one();
  };
  try {
    const redis = await startRedis();
    closing.push(() => redis[Symbol.asyncDispose]());
    const provider = await startRealProvider({ accessTokenTtlSeconds: 6, audience: 'https://api.example' });
    closing.push(() => provider.close());
    const api = await startApi();
    closing.push(() => api.stop());
    const config = baseConfig(await freePort(), provider, {
      redis: { url: redis.url },
      routes: [{ path: '/api', upstream: api.url, websocket: true }],
      log: { level: 'info', format: 'json', access: false },
    });
    register(provider, String(config['publicUrl']));
    const probe = pathToFileURL(join(import.meta.dirname, 'probe.ts')).href;
    const postern = await startPosternProcess(config, ['--import', probe]);
    closing.push(() => postern.stop());
    await until(() => isReady(postern));
    return {
      postern,
      provider,
      api,
      read: (extent) => read(postern, extent === 'objects' ? 'SIGWINCH' : 'SIGUSR2'),
      errors: () => errorsOf(postern),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function isReady({ operationsUrl }: PosternProcess): Promise<boolean> {
  const answer = await fetch(`${operationsUrl}/readyz`);
  return ((await answer.json()) as { status: string }).status === 'ready';
}

async function read(postern: PosternProcess, signal: NodeJS.Signals): Promise<Reading> {
  const { output } = postern;
  const seen = output.length;
  const reading = (): string | undefined => output.slice(seen).find((line) => line.startsWith(readingMark));
  postern.signal(signal);
  await until(() => reading() !== undefined);
  return JSON.parse(reading()!.slice(readingMark.length)) as Reading;
}

function errorsOf({ output }: PosternProcess): string[] {
  return output.filter((line) => /"level":"?(error|fatal|50|60)\b/.test(line));
}
