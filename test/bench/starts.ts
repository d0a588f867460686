// How long a start takes: from the spawn of the process to a readiness answer that misses nothing.
import { freePort } from '../support/free-port.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { benchConfig, startPosternChild } from './postern.ts';
import type { Build } from './postern.ts';
import type { Cpus } from './processes.ts';
import { estimate } from './statistics.ts';
import type { Estimate } from './statistics.ts';

export interface StartsOptions {
  cpus: Cpus;
  build: Build;
  provider: RealProvider;
  redisUrl: string;
  upstreamUrl: string;
  starts: number;
}

/** In ms; provider and Redis are there. */
export async function measureStarts(options: StartsOptions): Promise<Estimate> {
  const { cpus, build, provider, redisUrl, upstreamUrl, starts } = options;
  const spansMs: number[] = [];
  for (let start = 0; start < starts; start += 1) {
    const config = benchConfig(await freePort(), provider, upstreamUrl, { redis: { url: redisUrl } });
    const postern = await startPosternChild(cpus, build, config);
    spansMs.push(postern.readyAfterMs);
    await postern.stop();
  }
  return estimate(spansMs);
}
