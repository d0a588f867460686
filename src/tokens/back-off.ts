// How long a session's refresh rests after a failure: longer with each failure in a row, so that a dead token endpoint is not asked by every call.
import { LRUCache } from 'lru-cache';

const firstMs = 1_000;
const longestMs = 30_000;
const maxSessions = 10_000;

export interface BackOff {
  /** Notes one more failure; answers the pause before the next try. */
  next(h: string): number;
  clear(h: string): void;
}

/** Counts in this process only: the pause itself is in the session's record, for every replica. */
export function createBackOff(): BackOff {
  const failures = new LRUCache<string, number>({ max: maxSessions });
  return {
    next(h) {
      const count = failures.get(h) ?? 0;
      failures.set(h, count + 1);
      return Math.min(longestMs, firstMs * 2 ** count);
    },
    clear: (h) => failures.delete(h),
  };
}
