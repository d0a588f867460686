// A crowd uses one Postern for a while, and what Postern holds is read before, meanwhile and afterwards.
import { Agent } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { createCaller } from '../support/gate-call.ts';
import type { House } from './house.ts';
import { live } from './person.ts';
import type { Sight } from './person.ts';
import type { Reading } from './probe.ts';
import { slope } from './slope.ts';

export interface EnduranceOptions {
  house: House;
  /** Each of them another user. */
  people: number;
  /** In ms, as all spans here. */
  warmUpMs: number;
  durationMs: number;
  sessionMs: number;
  /** Between two readings under load. */
  readEveryMs: number;
  /** How long connections and timers may take to go away when nobody calls any more. */
  restMs: number;
  onReading?: (reading: TimedReading) => void;
  /** Ends it before its time. */
  stop?: AbortSignal;
}

export interface TimedReading extends Reading {
  /** Since the load began. */
  minute: number;
}

export interface Endurance extends Sight {
  /** At rest, after a warm-up that has used everything once. */
  before: Reading;
  meanwhile: TimedReading[];
  /** At rest again. */
  after: Reading;
  /** Kinds of things of which there are more now than there were, with both numbers. */
  left: string[];
  /** Over the second half, in MB a minute. */
  growth: { rss: number; heap: number };
}

export async function endure(options: EnduranceOptions): Promise<Endurance> {
  const { house, warmUpMs, durationMs, restMs, readEveryMs, onReading, stop } = options;
  const warmUp = gather(options);
  await pauseUnless(stop, warmUpMs);
  await warmUp.leave();
  const before = await atRest(house, restMs);

  const crowd = gather(options);
  const meanwhile: TimedReading[] = [];
  const beganAt = performance.now();
  const elapsedMs = (): number => performance.now() - beganAt;
  while (elapsedMs() < durationMs && stop?.aborted !== true) {
    await pauseUnless(stop, Math.min(readEveryMs, durationMs - elapsedMs()));
    const reading = { minute: elapsedMs() / 60_000, ...(await house.read()) };
    meanwhile.push(reading);
    onReading?.(reading);
  }
  await crowd.leave();
  const after = await atRest(house, restMs, before);

  const { outcomes, violations } = crowd.sight;
  const underWay = house.api.underWay();
  const secondHalf = meanwhile.filter(({ minute }) => minute * 60_000 > durationMs / 2);
  const growthOf = (size: 'rssMb' | 'heapMb'): number => slope(secondHalf.map((one) => [one.minute, one[size]]));
  return {
    before,
    meanwhile,
    after,
    outcomes,
    violations: [...warmUp.sight.violations, ...violations, ...house.errors()],
    left: [...moreThan(before, after), ...(underWay === 0 ? [] : [`under way at the API: ${underWay}`])],
    growth: { rss: growthOf('rssMb'), heap: growthOf('heapMb') },
  };
}

async function pauseUnless(stop: AbortSignal | undefined, ms: number): Promise<void> {
  await pause(ms, undefined, stop && { signal: stop }).catch(() => undefined);
}

interface Crowd {
  sight: Sight;
  /** Everybody logs out and closes their connections. */
  leave(): Promise<void>;
}

function gather({ house, people, sessionMs }: EnduranceOptions): Crowd {
  const { postern } = house;
  const sight: Sight = { outcomes: new Map(), violations: [] };
  // Shared, as behind a gateway: calls of several people follow each other on one connection.
  const agent = new Agent({ keepAlive: true, maxSockets: 2 * people });
  const caller = createCaller(() => ({ address: postern.address, host: new URL(postern.publicUrl).host }), agent);
  const leaving = new AbortController();
  const lives = Array.from({ length: people }, (_, index) =>
    live({ user: `user-${index}`, house, caller, sight, sessionMs }, leaving.signal),
  );
  return {
    sight,
    async leave() {
      leaving.abort();
      await Promise.all(lives);
      agent.destroy();
    },
  };
}

/** At two a second: longer than Node keeps an idle connection open (5 s), so that none of them passes for something that stays. */
const calmLooks = 12;

/** The first reading in which nothing more goes away and of nothing is there more than in `wanted`; when time is up, the last one. */
async function atRest(house: House, restMs: number, wanted?: Reading): Promise<Reading> {
  const end = performance.now() + restMs;
  let last = await house.read();
  let calm = 0;
  for (;;) {
    await pause(500);
    const next = await house.read();
    calm = total(next) < total(last) ? 0 : calm + 1;
    last = next;
    const isLate = performance.now() > end;
    if (!isLate && (calm < calmLooks || house.api.underWay() > 0)) continue;
    const whole = await house.read('objects');
    if (isLate || wanted === undefined || moreThan(wanted, whole).length === 0) return whole;
  }
}

const total = ({ held }: Reading): number => Object.values(held).reduce((sum, count) => sum + count, 0);

function moreThan(before: Reading, after: Reading): string[] {
  return Object.entries(after.held)
    .map(([kind, count]) => ({ kind, count, earlier: before.held[kind] ?? 0 }))
    .filter(({ count, earlier }) => count > earlier)
    .map(({ kind, count, earlier }) => `${kind}: ${earlier} before, ${count} after`);
}
