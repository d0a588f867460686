// The figures as people read them: one table, and a few lines for what is not a request's cost.
import type { Burst } from './refresh-burst.ts';
import { estimate, median } from './statistics.ts';
import type { Estimate } from './statistics.ts';
import type { Pair, Slice } from './paired-rounds.ts';

/** One variant's figures. Times in µs are CPU time per request. */
export interface Summary {
  name: string;
  cpuMicros: Estimate;
  /** The least disturbed slice. */
  leastCpuMicros: number;
  /** Against the slice of the baseline just before. */
  ratio: Estimate;
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  busy: number;
  redisMicros?: number;
  redisCommands?: Record<string, number>;
}

export function summarize(name: string, pairs: readonly Pair[]): Summary {
  const slices = pairs.map(({ variant }) => variant);
  return {
    ...summarizeSlices(name, slices),
    ratio: estimate(pairs.map(({ variant, baseline }) => variant.cpuMicrosPerRequest / baseline.cpuMicrosPerRequest)),
  };
}

/** The baseline's own figures, over all its slices. */
export function summarizeBaseline(name: string, pairs: readonly Pair[]): Summary {
  const slices = pairs.map(({ baseline }) => baseline);
  return { ...summarizeSlices(name, slices), ratio: { median: 1, low: 1, high: 1 } };
}

function summarizeSlices(name: string, slices: readonly Slice[]): Omit<Summary, 'ratio'> {
  const medianOf = (figure: (slice: Slice) => number): number => median(slices.map(figure));
  const redis = slices.flatMap((slice) => slice.redis ?? []);
  return {
    name,
    cpuMicros: estimate(slices.map((slice) => slice.cpuMicrosPerRequest)),
    leastCpuMicros: Math.min(...slices.map((slice) => slice.cpuMicrosPerRequest)),
    requestsPerSecond: medianOf(({ requests, seconds }) => requests / seconds),
    p50Ms: medianOf(({ p50Ms }) => p50Ms),
    p99Ms: medianOf(({ p99Ms }) => p99Ms),
    busy: medianOf(({ busy }) => busy),
    ...(redis.length > 0 && {
      redisMicros: median(redis.map(({ cpuMicros }) => cpuMicros)),
      redisCommands: Object.fromEntries(
        Object.keys(redis[0]!.commands).map((command) => [
          command,
          median(redis.map(({ commands }) => commands[command] ?? 0)),
        ]),
      ),
    }),
  };
}

export interface Machine {
  cpus: string;
  node: string;
  kernel: string;
  loadGenerator: string;
  connections: number;
  /** Load averages of the last minute. */
  loadBefore: number;
  loadAfter: number;
}

export function printHeading({ cpus, node, kernel, loadGenerator, connections, loadBefore, loadAfter }: Machine): void {
  console.log(
    `${cpus}, Node ${node}, Linux ${kernel}; load by ${loadGenerator} over ${connections} connections, 1 KB of JSON`,
  );
  console.log(
    `load average before: ${loadBefore.toFixed(1)}, after: ${loadAfter.toFixed(1)}, of which about 2 are this measurement's own`,
  );
  if (loadBefore > 1)
    console.log('The machine was not idle: compare ratios, and expect every absolute figure to be too high.');
  console.log();
}

export function printTable(summaries: readonly Summary[]): void {
  const rows = [
    ['', 'µs CPU a request', 'least', '× baseline', 'Redis µs', 'req/s', 'p50 ms', 'p99 ms', 'busy'],
    ...summaries.map((summary) => [
      summary.name,
      within(summary.cpuMicros, 1),
      summary.leastCpuMicros.toFixed(1),
      within(summary.ratio, 2),
      summary.redisMicros?.toFixed(1) ?? '',
      summary.requestsPerSecond.toFixed(0),
      summary.p50Ms.toFixed(2),
      summary.p99Ms.toFixed(2),
      `${(summary.busy * 100).toFixed(0)} %`,
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows) {
    console.log(
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('   '),
    );
  }
}

export function printRedisCommands(summaries: readonly Summary[]): void {
  console.log();
  for (const { name, redisCommands } of summaries) {
    if (redisCommands === undefined) continue;
    const commands = Object.entries(redisCommands).filter(([, count]) => count >= 0.005);
    const list = commands.map(([command, count]) => `${command} ${count.toFixed(2)}`).join(', ');
    console.log(`${name}, Redis commands a request: ${list === '' ? 'none' : list}`);
  }
}

export function printBursts(bursts: readonly Burst[]): void {
  for (const { tokenEndpointMs, refreshes, failures, lastAnswerMs, freshBurstMs } of bursts) {
    console.log(
      `1,000 calls on one expired token, 2 processes, token endpoint ${tokenEndpointMs} ms: ${refreshes} token call(s), ${failures} failures, ` +
        `last answer ${lastAnswerMs.toFixed(0)} ms after the token endpoint's (the same calls with a fresh token: ${freshBurstMs.toFixed(0)} ms)`,
    );
  }
}

export function printStarts(startToReadyMs: Estimate): void {
  console.log(`start to ready, provider and Redis up: ${within(startToReadyMs, 0)} ms`);
}

function within({ median: middle, low, high }: Estimate, digits: number): string {
  return `${middle.toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`;
}
