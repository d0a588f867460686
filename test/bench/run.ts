// `npm run bench`: what a request costs in CPU time, side by side with the bare proxy library, and a few spans that people wait for.
// Everything runs on loopback and ends by itself; docs/performance.md says how to read the figures.
import { writeFileSync } from 'node:fs';
import { cpus as cpuList, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import { connections, loadGenerator } from './load.ts';
import { measureInPairs } from './paired-rounds.ts';
import type { Schedule } from './paired-rounds.ts';
import { benchConfig, buildPostern, startPosternChild, startPosternVariants } from './postern.ts';
import type { Build } from './postern.ts';
import { divideCpus, startScript } from './processes.ts';
import type { Cpus } from './processes.ts';
import { createRedisMeter } from './redis-cost.ts';
import { measureRefreshBursts } from './refresh-burst.ts';
import { printBursts, printRedisCommands, printTable, summarize, summarizeBaseline } from './report.ts';
import { estimate } from './statistics.ts';
import type { Estimate } from './statistics.ts';
import { checkAnswer, startBare, startNginx, startObviousBuild } from './variants.ts';
import type { Running } from './variants.ts';

const usage = `npm run bench -- [--quick] [--json FILE]
  --quick      the essential variants, under a minute; for a first look, not for a claim
  --json FILE  where the figures go; a new file in the temporary directory unless given`;

interface Extent extends Schedule {
  /** nginx, http.request, auth: none and 401 as well. */
  allVariants: boolean;
  starts: number;
  tokenEndpointsMs: readonly number[];
}

const full: Extent = {
  allVariants: true,
  rounds: 12,
  sliceSeconds: 2,
  warmUpSeconds: 10,
  starts: 9,
  tokenEndpointsMs: [50, 50, 50, 1000, 1000, 1000],
};
const quick: Extent = {
  allVariants: false,
  rounds: 4,
  sliceSeconds: 1,
  warmUpSeconds: 2,
  starts: 3,
  tokenEndpointsMs: [50],
};

async function main(options: { extent: Extent; jsonFile: string }): Promise<void> {
  const { extent, jsonFile } = options;
  const placement = divideCpus();
  const loadBefore = loadavg()[0]!;
  const closing: (() => Promise<unknown>)[] = [];
  const keep = <T extends { stop: () => Promise<unknown> }>(running: T): T => {
    closing.unshift(() => running.stop());
    return running;
  };
  try {
    progress('building Postern');
    const build = await buildPostern();
    closing.unshift(() => build.remove());
    const redis = keep(await startRedis());
    const provider = await startRealProvider({ accessTokenTtlSeconds: 3600, audience: 'https://api.example' });
    closing.unshift(() => provider.close());
    const upstream = keep(await startScript(placement.others, 'upstream.ts'));
    const upstreamUrl = `http://127.0.0.1:${upstream.port}`;

    progress('starting everything that is compared');
    const cpus = placement.proxy;
    const bare = await startBare(cpus, upstreamUrl);
    keep(bare.baseline);
    keep(bare.httpRequest);
    const obvious = keep(await startObviousBuild(cpus, upstreamUrl, redis.url));
    const shared = { cpus, build, provider, upstreamUrl };
    const inMemory = keep(await startPosternVariants(shared));
    const inRedis = keep(await startPosternVariants({ ...shared, redisUrl: redis.url }));
    const nginx = extent.allVariants ? await startNginx(cpus, upstreamUrl) : undefined;
    if (nginx !== undefined) keep(nginx);

    const baseline = bare.baseline.variants[0]!;
    const chosen: Running[] = extent.allVariants
      ? [...[nginx ?? []].flat(), bare.httpRequest, obvious, inMemory, inRedis]
      : [obvious, { ...inMemory, variants: inMemory.variants.slice(0, 1) }, inRedis];
    const variants = chosen.flatMap((running) => running.variants);
    for (const variant of [baseline, ...variants]) await checkAnswer(variant);

    const meter = createRedisMeter(redis.url);
    keep({ stop: meter.close });
    const pairs = await measureInPairs({ ...extent, baseline, variants, redis: meter, progress });
    progress('refresh bursts');
    const { tokenEndpointsMs } = extent;
    const burstOptions = { cpus: placement.all, build, redisUrl: redis.url, upstreamUrl, tokenEndpointsMs };
    const bursts = await measureRefreshBursts(burstOptions);
    progress('starts');
    const startToReadyMs = await measureStarts(extent.starts, {
      cpus: placement.all,
      build,
      provider,
      redisUrl: redis.url,
    });
    progress('');

    const summaries = [
      summarizeBaseline(`${baseline.name} (baseline)`, [...pairs.values()].flat()),
      ...variants.map((variant) => summarize(variant.name, pairs.get(variant)!)),
    ];
    const machine = describeMachine(loadBefore);
    console.log(
      `${machine.cpus}, Node ${machine.node}, Linux ${machine.kernel}, load by ${loadGenerator}, ${connections} connections, 1 KB of JSON`,
    );
    console.log(
      `load average before ${machine.loadBefore.toFixed(1)}, after ${machine.loadAfter.toFixed(1)} (this measurement alone makes about 2)\n`,
    );
    printTable(summaries);
    console.log();
    printRedisCommands(summaries);
    printBursts(bursts);
    console.log(
      `start to ready, provider and Redis up: ${startToReadyMs.median.toFixed(0)} ms (${startToReadyMs.low.toFixed(0)}–${startToReadyMs.high.toFixed(0)})`,
    );

    const slices = Object.fromEntries(variants.map((variant) => [variant.name, pairs.get(variant)]));
    writeFileSync(
      jsonFile,
      JSON.stringify({ machine, extent, summaries, bursts, startToReadyMs, slices }, undefined, 2),
    );
    console.log(`\nall figures: ${jsonFile}`);
  } finally {
    for (const close of closing) await close();
  }
}

interface StartOptions {
  cpus: Cpus;
  build: Build;
  provider: RealProvider;
  redisUrl: string;
}

async function measureStarts(count: number, { cpus, build, provider, redisUrl }: StartOptions): Promise<Estimate> {
  const spans: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const config = benchConfig(await freePort(), provider, 'http://127.0.0.1:9', { redis: { url: redisUrl } });
    const postern = await startPosternChild(cpus, build, config);
    spans.push(postern.readyAfterMs);
    await postern.stop();
  }
  return estimate(spans);
}

function describeMachine(loadBefore: number) {
  const list = cpuList();
  return {
    cpus: `${list.length} × ${list[0]?.model ?? 'unknown CPU'}`,
    node: process.versions.node,
    kernel: release(),
    loadGenerator,
    connections,
    loadBefore,
    loadAfter: loadavg()[0]!,
  };
}

/** One line that replaces itself on a terminal; nothing in a file. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

try {
  const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } } });
  if (process.platform !== 'linux') throw new Error('CPU time is read from /proc: this runs on Linux only');
  await main({
    extent: values.quick ? quick : full,
    jsonFile: values.json ?? join(tmpdir(), `postern-bench-${process.pid}.json`),
  });
} catch (error) {
  console.error(
    error instanceof Error && 'code' in error && error.code?.toString().startsWith('ERR_PARSE_ARGS')
      ? `${error.message}\n${usage}`
      : error,
  );
  process.exitCode = 1;
}
