// All workers as one: started, replaced when they die, asked and drained together.
import { setTimeout as pause } from 'node:timers/promises';
import type { Health } from '../http/health.ts';
import type { Logger } from '../telemetry/log.ts';
import { countedBy } from '../telemetry/metrics.ts';
import type { Figures, Metrics } from '../telemetry/metrics.ts';
import { startWorker } from './cluster.ts';
import type { Addresses, WorkerProcess } from './cluster.ts';

export interface CrewOptions {
  count: number;
  /** The text of the configuration to start with. */
  text: string;
  metrics: Metrics;
  log: Logger;
  monotonicNow: () => number;
}

export interface Crew {
  /** Resolves when all listen; undefined when the first worker cannot, which has said why. */
  start(): Promise<Addresses | undefined>;
  /** Ready once every worker has been, as long as one is. A part is down when a worker says so; `workers` is while one of them is not ready. */
  health(): Promise<Health>;
  /** What the workers have counted, those that have ended included. */
  figures(): Promise<Figures[]>;
  /** Has all workers, and those to come, go by another configuration, whose text this is. */
  reload(text: string): void;
  /** Lets all finish what is under way, as `reason`, a signal, asks. Whoever has not ended after `atMostMs` is killed. Resolves to whether each ended by itself and in order. */
  drain(reason: string, atMostMs: number): Promise<boolean>;
}

/** Below the second that Kubernetes gives a probe. */
const healthMs = 500;
const figuresMs = 2_000;
/** A worker that has lived this long did not die of its start. */
const steadyMs = 60_000;
const shortestPauseMs = 100;
const longestPauseMs = 30_000;

export function createCrew({ count, metrics, log, monotonicNow, ...options }: CrewOptions): Crew {
  let { text } = options;
  const working = new Map<number, WorkerProcess>();
  const lastFigures = new WeakMap<WorkerProcess, Figures>();
  const leaving = new AbortController();
  const isLeaving = (): boolean => leaving.signal.aborted;
  let countedByEnded: Figures = [];
  let wasWhole = false;

  async function keep(number: number, first: WorkerProcess): Promise<void> {
    let worker = first;
    for (let failures = 0; ;) {
      const startedAt = monotonicNow();
      working.set(number, worker);
      const { pid } = worker;
      void worker.listening.then((at) => at && log.info({ worker: number, pid }, 'a worker listens'));
      const { code, signal } = await worker.ended;
      working.delete(number);
      countedByEnded = await countedBy([countedByEnded, lastFigures.get(worker) ?? []]);
      if (isLeaving()) return;
      failures = monotonicNow() - startedAt < steadyMs ? failures + 1 : 0;
      const pauseMs = Math.min(longestPauseMs, shortestPauseMs * 2 ** failures);
      metrics.workerReplacements.inc();
      log.error({ worker: number, pid, code, signal, pauseMs }, 'a worker has ended and is replaced');
      await pause(pauseMs, undefined, { signal: leaving.signal }).catch(() => undefined);
      if (isLeaving()) return;
      worker = startWorker({ number, text });
    }
  }

  return {
    async start() {
      // One alone at first: what keeps it from starting would keep all of them, and is said once.
      const first = startWorker({ number: 1, text });
      const addresses = await first.listening;
      if (addresses === undefined) return undefined;
      const others = Array.from({ length: count - 1 }, (_, index) => startWorker({ number: index + 2, text }));
      [first, ...others].forEach((worker, index) => void keep(index + 1, worker));
      await Promise.all(others.map(({ listening }) => listening));
      return addresses;
    },
    async health() {
      const asked = await Promise.all(Array.from(working.values(), (worker) => worker.ask('health', healthMs)));
      const answers = asked.filter((answer) => answer !== undefined);
      const ready = answers.filter((answer) => answer.ready).length;
      wasWhole ||= ready === count;
      return {
        ready: wasWhole && ready > 0,
        parts: { ...worstOf(answers), workers: ready === count ? 'up' : 'down' },
      };
    },
    async figures() {
      // Taken first, so that nobody is counted twice who ends meanwhile.
      const ended = countedByEnded;
      const present = Array.from(working.values(), async (worker) => {
        const figures = (await worker.ask('figures', figuresMs)) ?? lastFigures.get(worker) ?? [];
        lastFigures.set(worker, figures);
        return figures;
      });
      return [ended, ...(await Promise.all(present))];
    },
    reload(newText) {
      text = newText;
      for (const worker of working.values()) worker.reload(text);
    },
    async drain(reason, atMostMs) {
      leaving.abort();
      const workers = [...working.values()];
      workers.forEach((worker) => worker.drain(reason));
      const late = setTimeout(() => workers.forEach((worker) => worker.kill()), atMostMs);
      const ends = await Promise.all(workers.map(({ ended }) => ended));
      clearTimeout(late);
      return ends.every(({ code }) => code === 0);
    },
  };
}

function worstOf(answers: readonly Health[]): Health['parts'] {
  const entries = answers.flatMap(({ parts }) => Object.entries(parts));
  return Object.fromEntries([
    ...entries.filter(([, state]) => state === 'up'),
    ...entries.filter(([, state]) => state === 'down'),
  ]);
}
