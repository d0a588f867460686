// `npm run bench`: what a request costs in CPU time, side by side with the bare proxy library, and a few spans that people wait for.
// Everything runs on loopback and ends by itself; docs/performance.md says how to read the figures.
import { writeFileSync } from 'node:fs';
import { cpus as cpuList, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startRealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import { measureFootprint } from './footprint.ts';
import { startApache } from './apache.ts';
import { connections, loadGenerator } from './load.ts';
import { measureInPairs } from './paired-rounds.ts';
import type { Schedule } from './paired-rounds.ts';
import { buildPostern, startPosternVariants, startPosternWorkers } from './postern.ts';
import { divideCpus, startScript } from './processes.ts';
import { createRedisMeter } from './redis-cost.ts';
import { measureRefreshBursts } from './refresh-burst.ts';
import { printBursts, printHeading, printRedisCommands, printStarts, printTable } from './report.ts';
import { summarize, summarizeBaseline } from './report.ts';
import { measureSizing } from './sizing.ts';
import { measureStarts } from './starts.ts';
import { checkAnswer, startBare, startNginx, startObviousBuild } from './variants.ts';
import type { Running } from './variants.ts';

const usage = `npm run bench -- [--quick] [--sizing | --footprint | --json FILE]
  --quick      the essential variants, in about a minute; for a first look, not for a claim
  --sizing     instead of all that, the memory that sessions take
  --footprint  instead of all that, what a container takes: image, start, memory at rest
  --json FILE  where the figures go; a new file in the temporary directory unless given`;

interface Extent extends Schedule {
  /** nginx, Apache, http.request, workers, auth: none and 401 as well. */
  allVariants: boolean;
  starts: number;
  /** How slow the token endpoint is, one refresh burst for each. */
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
  rounds: 3,
  sliceSeconds: 1,
  warmUpSeconds: 2,
  starts: 3,
  tokenEndpointsMs: [50],
};

async function measure(extent: Extent, jsonFile: string): Promise<void> {
  const closing: (() => Promise<unknown>)[] = [];
  const keep = <T extends { stop: () => Promise<unknown> }>(running: T): T => {
    closing.unshift(running.stop);
    return running;
  };
  const loadBefore = loadavg()[0]!;
  try {
    const parts = await startParts(keep);
    const { placement, build, provider, redis, upstreamUrl, meter } = parts;
    const { baseline, compared } = await startVariants(parts, keep, extent.allVariants);
    const variants = compared.flatMap((running) => running.variants);
    for (const variant of [baseline, ...variants]) await checkAnswer(variant);

    const pairs = await measureInPairs({ ...extent, baseline, variants, redis: meter, progress });
    progress('refresh bursts and starts');
    const { tokenEndpointsMs, starts } = extent;
    const posterns = { cpus: placement.all, build, redisUrl: redis.url, upstreamUrl };
    const bursts = await measureRefreshBursts({ ...posterns, tokenEndpointsMs });
    const startToReadyMs = await measureStarts({ ...posterns, provider, starts });
    progress('');

    const summaries = [
      summarizeBaseline(`${baseline.name} (baseline)`, [...pairs.values()].flat()),
      ...variants.map((variant) => summarize(variant.name, pairs.get(variant)!)),
    ];
    const machine = describeMachine(loadBefore);
    printHeading(machine);
    printTable(summaries);
    printRedisCommands(summaries);
    printBursts(bursts);
    printStarts(startToReadyMs);
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

type Keep = <T extends { stop: () => Promise<unknown> }>(running: T) => T;

/** What all variants share. */
async function startParts(keep: Keep) {
  progress('building Postern');
  const placement = divideCpus();
  const build = await buildPostern();
  keep({ stop: build.remove });
  const redis = await startRedis();
  keep({ stop: () => redis[Symbol.asyncDispose]() });
  const meter = createRedisMeter(redis.url);
  keep({ stop: meter.close });
  const provider = await startRealProvider({ accessTokenTtlSeconds: 3600, audience: 'https://api.example' });
  keep({ stop: () => provider.close() });
  const upstream = keep(await startScript(placement.others, 'upstream.ts'));
  return { placement, build, redis, meter, provider, upstreamUrl: `http://127.0.0.1:${upstream.port}` };
}

type Parts = Awaited<ReturnType<typeof startParts>>;

async function startVariants({ placement, build, provider, redis, upstreamUrl }: Parts, keep: Keep, all: boolean) {
  progress('starting everything that is compared');
  const cpus = placement.proxy;
  const bare = await startBare(cpus, upstreamUrl);
  Object.values(bare).forEach(keep);
  const obvious = keep(await startObviousBuild(cpus, upstreamUrl, redis.url));
  const posternOptions = { cpus, build, provider, upstreamUrl, redisUrl: redis.url };
  const postern = await startPosternVariants(posternOptions);
  Object.values(postern).forEach(keep);
  const compared: Running[] = [obvious, postern.memory, postern.redis, postern.redisUncached];
  if (all) {
    const nginx = await startNginx(cpus, upstreamUrl);
    const apache = await startApache({ cpus, provider, upstreamUrl, redisUrl: redis.url });
    compared.unshift(
      bare.httpRequest,
      ...[nginx, apache].flatMap((running) => (running === undefined ? [] : [keep(running)])),
    );
    compared.push(keep(await startPosternWorkers(posternOptions)), postern.withoutSession);
  }
  return { baseline: bare.baseline.variants[0]!, compared };
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

function readOptions() {
  try {
    const flag = { type: 'boolean', default: false } as const;
    return parseArgs({ options: { quick: flag, sizing: flag, footprint: flag, json: { type: 'string' } } }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    process.exit(64);
  }
}

const options = readOptions();
if (options.sizing) {
  await measureSizing(options.quick ? { sessions: 10_000, opened: 10_000 } : { sessions: 100_000, opened: 20_000 });
} else if (options.footprint) {
  await measureFootprint(options.quick ? { starts: 1, restSeconds: 5 } : { starts: 5, restSeconds: 10 });
} else {
  if (process.platform !== 'linux') {
    console.error('CPU time is read from /proc: the benchmark runs on Linux only');
    process.exit(1);
  }
  await measure(options.quick ? quick : full, options.json ?? join(tmpdir(), `postern-bench-${process.pid}.json`));
}
