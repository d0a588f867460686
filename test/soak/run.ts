// `npm run soak`: ten minutes of everything at once, then a gigabyte up and a gigabyte down. Ends with 1 when a bound is broken.
// On Linux, on loopback, and it ends whatever it started; docs/performance.md says how to read the figures.
import { parseArgs } from 'node:util';
import { endure } from './endurance.ts';
import type { Endurance, TimedReading } from './endurance.ts';
import { startHouse } from './house.ts';
import { transfer } from './transfers.ts';
import type { Transfer } from './transfers.ts';

const usage = `npm run soak -- [--minutes N] [--people N]
  --minutes N  of mixed load, 10 unless given; growth is judged from 10 on, because ends of sessions are remembered for five
  --people N   how many users at once, 20 unless given`;

/** What may not be exceeded. */
const bounds = { growthMbPerMinute: 1, transferMb: 50 };
/** Before the second half of the time begins, the process must hold as many remembered ends as it ever will. */
const leastMinutesForGrowth = 10;
const gigabyte = 1_000_000_000;

async function soak({ minutes, people }: { minutes: number; people: number }, stop: AbortSignal): Promise<string[]> {
  const house = await startHouse();
  try {
    console.log(`${minutes} minutes, ${people} people, Node ${process.versions.node}\n`);
    console.log('minute  RSS MB  heap MB  open sockets  stood still for it, ms');
    const endurance = await endure({
      house,
      people,
      warmUpMs: 20_000,
      durationMs: minutes * 60_000,
      sessionMs: 20_000,
      readEveryMs: 10_000,
      restMs: 90_000,
      onReading: (reading) => console.log(rowOf(reading)),
      stop,
    });
    printEndurance(endurance);
    const transfers = { up: await transfer(house, 'up', gigabyte), down: await transfer(house, 'down', gigabyte) };
    printTransfers(transfers);
    const growing = minutes < leastMinutesForGrowth ? [] : brokenByGrowth(endurance);
    return [
      ...brokenByLoad(endurance),
      ...growing,
      ...Object.entries(transfers).flatMap(([way, one]) => brokenBy(way, one)),
    ];
  } finally {
    await house.close();
  }
}

function rowOf({ minute, rssMb, heapMb, held, tookMs }: TimedReading): string {
  const sockets = String(held['open sockets'] ?? 0);
  return [
    minute.toFixed(1).padStart(6),
    rssMb.toFixed(1).padStart(7),
    heapMb.toFixed(1).padStart(8),
    sockets.padStart(13),
    tookMs.toFixed(0).padStart(23),
  ].join(' ');
}

function printEndurance({ before, after, outcomes, growth }: Endurance): void {
  console.log('\nwhat people saw');
  for (const [outcome, count] of [...outcomes].sort()) console.log(`${String(count).padStart(8)}  ${outcome}`);
  console.log('\nat rest            before     after');
  const row = (name: string, earlier: string, later: string): void =>
    console.log(`${name.padEnd(28)}${earlier.padStart(8)}${later.padStart(8)}`);
  row('RSS MB', before.rssMb.toFixed(1), after.rssMb.toFixed(1));
  row('heap MB', before.heapMb.toFixed(1), after.heapMb.toFixed(1));
  for (const kind of Object.keys({ ...before.held, ...after.held })) {
    row(kind, String(before.held[kind] ?? 0), String(after.held[kind] ?? 0));
  }
  console.log(`\ngrowth in the second half, MB a minute: RSS ${growth.rss.toFixed(2)}, heap ${growth.heap.toFixed(2)}`);
}

function printTransfers(transfers: Record<string, Transfer>): void {
  for (const [way, { bytes, seconds, grownMb }] of Object.entries(transfers)) {
    console.log(`${bytes / 1e9} GB ${way}: ${seconds.toFixed(1)} s, RSS grew by at most ${grownMb.toFixed(1)} MB`);
  }
}

function brokenByLoad({ violations, left }: Endurance): string[] {
  const seen = violations.slice(0, 20);
  const unseen = violations.length - seen.length;
  return [...seen, ...(unseen > 0 ? [`and ${unseen} more`] : []), ...left];
}

function brokenByGrowth({ growth }: Endurance): string[] {
  return Object.entries(growth)
    .filter(([, megabytes]) => !(megabytes <= bounds.growthMbPerMinute))
    .map(([size, megabytes]) => `${size} grows by ${megabytes.toFixed(2)} MB a minute`);
}

function brokenBy(way: string, { isWhole, grownMb }: Transfer): string[] {
  return [
    ...(isWhole ? [] : [`the transfer ${way} arrived changed`]),
    ...(grownMb < bounds.transferMb ? [] : [`the transfer ${way} took ${grownMb.toFixed(1)} MB`]),
  ];
}

function readOptions(): { minutes: number; people: number } {
  try {
    const { values } = parseArgs({
      options: { minutes: { type: 'string', default: '10' }, people: { type: 'string', default: '20' } },
    });
    const options = { minutes: Number(values.minutes), people: Number(values.people) };
    if (!(options.minutes > 0) || !(options.people >= 1)) throw new Error('--minutes and --people are numbers above 0');
    return options;
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    process.exit(64);
  }
}

if (process.platform !== 'linux') {
  console.error('Open files and memory are read from /proc: this runs on Linux only');
  process.exit(1);
}
const options = readOptions();
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
const broken = await soak(options, interrupted.signal);
for (const bound of broken) console.error(bound);
process.exitCode = broken.length === 0 && !interrupted.signal.aborted ? 0 : 1;
