// Spans that a bound of the product's is held against. What a machine lets nobody run for is not the product's: while a stopwatch runs, so does a timer,
// and what that comes late by is taken off. It takes off as well what this process is busy with itself: CPU time is measured otherwise.

const tickMs = 10;

export interface Stopwatch {
  /** Ms from its start to `at`, a `performance.now()`, less those in which this process was not let run. */
  elapsedMs(at?: number): number;
  /** The same from an instant to another. */
  betweenMs(from: number, to: number): number;
  stop(): void;
}

export function startStopwatch(): Stopwatch {
  const startedAt = performance.now();
  const heldUp: { from: number; to: number }[] = [];
  let lastAt = startedAt;

  function tick(): void {
    const at = performance.now();
    if (at - lastAt > 2 * tickMs) heldUp.push({ from: lastAt + tickMs, to: at });
    lastAt = at;
  }

  function betweenMs(from: number, to: number): number {
    tick();
    const lostMs = heldUp.reduce((sum, gap) => sum + Math.max(0, Math.min(gap.to, to) - Math.max(gap.from, from)), 0);
    return to - from - lostMs;
  }

  const timer = setInterval(tick, tickMs).unref();
  return {
    betweenMs,
    elapsedMs: (at = performance.now()) => betweenMs(startedAt, at),
    stop: () => clearInterval(timer),
  };
}

/** Ms that `act` takes when nothing comes in between: the least of five tries. For what computes and waits for nobody. */
export function leastMs(act: () => unknown): number {
  const tries = Array.from({ length: 5 }, () => {
    const from = performance.now();
    act();
    return performance.now() - from;
  });
  return Math.min(...tries);
}
