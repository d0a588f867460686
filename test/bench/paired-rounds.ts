// Side by side on a machine that is never quiet: each slice of a variant follows a slice of the baseline, and only such pairs are compared.
import { cpuMicrosOf } from './cpu-time.ts';
import { applyLoad } from './load.ts';
import type { LoadReport } from './load.ts';
import { costPerRequest } from './redis-cost.ts';
import type { RedisCost, RedisMeter } from './redis-cost.ts';
import type { Variant } from './variants.ts';

/** One stretch of load on one variant. */
export interface Slice extends LoadReport {
  cpuMicrosPerRequest: number;
  /** Of one CPU: near 1 the proxy was the bottleneck, far below it waited for something else. */
  busy: number;
  redis?: RedisCost;
}

/** A slice of a variant and the slice of the baseline just before it. */
export interface Pair {
  variant: Slice;
  baseline: Slice;
}

export interface Schedule {
  rounds: number;
  sliceSeconds: number;
  warmUpSeconds: number;
}

export interface RoundsOptions extends Schedule {
  baseline: Variant;
  variants: readonly Variant[];
  redis: RedisMeter;
  progress: (text: string) => void;
}

export async function measureInPairs(options: RoundsOptions): Promise<Map<Variant, Pair[]>> {
  const { baseline, variants, redis, rounds, sliceSeconds, progress } = options;
  for (const variant of [baseline, ...variants]) {
    progress(`warming up: ${variant.name}`);
    await applyLoad(variant, options.warmUpSeconds);
  }
  const pairs = new Map<Variant, Pair[]>(variants.map((variant) => [variant, []]));
  for (let round = 0; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`);
    // Every round begins with another variant, so that none always follows the same one.
    for (const variant of [...variants.slice(round % variants.length), ...variants.slice(0, round % variants.length)]) {
      const reference = await measureSlice(baseline, sliceSeconds, redis);
      pairs.get(variant)!.push({ baseline: reference, variant: await measureSlice(variant, sliceSeconds, redis) });
    }
  }
  return pairs;
}

async function measureSlice(variant: Variant, seconds: number, redis: RedisMeter): Promise<Slice> {
  const redisBefore = variant.usesRedis ? await redis.read() : undefined;
  const cpuBefore = cpuMicrosOf(variant.pid);
  const report = await applyLoad(variant, seconds);
  const cpuMicros = cpuMicrosOf(variant.pid) - cpuBefore;
  return {
    ...report,
    cpuMicrosPerRequest: cpuMicros / report.requests,
    busy: cpuMicros / 1_000_000 / report.seconds,
    ...(redisBefore !== undefined && { redis: costPerRequest(redisBefore, await redis.read(), report.requests) }),
  };
}
