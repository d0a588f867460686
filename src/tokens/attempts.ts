// The attempts that this process is at: each may hold tokens that exist nowhere else, or await the answer that brings them. A shutdown waits for them,
// and for nothing that another process is at.
import { setTimeout as pause } from 'node:timers/promises';
import { tokenCallMs } from '../oidc/provider.ts';
import type { Logger } from '../telemetry/log.ts';

/**
 * How long an attempt stands. Longer than the token call may take, so that nobody takes over while its answer can still come; and what a shutdown gives
 * it beyond its grace, since nobody else can finish it before.
 */
export const attemptDeadlineMs = tokenCallMs + 5_000;

/** The attempts of one process. */
export function createAttempts(log: Logger) {
  const underWay = new Set<Promise<unknown>>();
  const state = { draining: false, closed: false };

  return {
    /** `draining`: none is to be begun any more; `closed`: those that are left are given up. */
    state: state as Readonly<typeof state>,

    async untilOver<T>(attempt: Promise<T>): Promise<T> {
      underWay.add(attempt);
      try {
        return await attempt;
      } finally {
        underWay.delete(attempt);
      }
    },

    /** Resolves when none is under way, at the latest after `atMostMs`. */
    async drain(atMostMs: number): Promise<void> {
      state.draining = true;
      const limit = new AbortController();
      const timeUp = pause(atMostMs, undefined, { signal: limit.signal }).catch(() => undefined);
      await Promise.race([Promise.allSettled(underWay), timeUp]);
      limit.abort();
      state.closed = true;
      if (underWay.size > 0) {
        log.error({ sessions: underWay.size }, 'refreshes are given up: the tokens of these sessions may be lost');
      }
    },
  };
}
