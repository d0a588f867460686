// One Postern with two workers: what its first process and its workers say, and calls that go to the workers in turn.
import { request } from 'undici';
import type { ConfigInput, PosternProcess } from './postern.ts';
import type { RealProvider } from './real-provider.ts';
import type { RedisServer } from './redis.ts';
import { saidIn } from './reloadable.ts';
import { withReplicas } from './replicas.ts';
import type { RecordingUpstream } from './upstream.ts';

/** What they work with. */
export interface Workplace {
  redis: RedisServer;
  /** Behind `/api`, and without a session behind `/open`. */
  api: RecordingUpstream;
}

/** Starts it for a claim, with a provider of its own, and ends it after that. */
export function withWorkers(
  { redis, api }: Workplace,
  claim: (postern: PosternProcess, provider: RealProvider) => Promise<void>,
  config: ConfigInput = {},
): Promise<void> {
  const routes = [
    { path: '/api', upstream: api.url },
    { path: '/open', upstream: api.url, auth: 'none' },
  ];
  const options = { count: 1, config: { workers: 2, redis: { url: redis.url }, routes, ...config } };
  return withReplicas(options, (provider, [postern]) => claim(postern!, provider));
}

/** Every worker there has been, oldest first. */
export const workersOf = (postern: PosternProcess): number[] =>
  saidIn(postern, 'a worker listens').map(({ pid }) => Number(pid));

/** The workers that ended before their time, as it says of them. */
export const replacementsIn = (postern: PosternProcess) => saidIn(postern, 'a worker has ended and is replaced');

export async function readiness(postern: PosternProcess): Promise<{ status: number; body: any }> {
  const response = await fetch(`${postern.operationsUrl}/readyz`);
  return { status: response.status, body: await response.json() };
}

/** A call on a connection of its own; its status, 0 when there was no answer in time. */
export async function callOnce(postern: PosternProcess, path: string): Promise<number> {
  const headers = { host: new URL(postern.publicUrl).host, connection: 'close' };
  const signal = AbortSignal.timeout(10_000);
  try {
    const answer = await request(`${postern.address}${path}`, { headers, reset: true, signal });
    await answer.body.dump();
    return answer.statusCode;
  } catch {
    return 0;
  }
}
