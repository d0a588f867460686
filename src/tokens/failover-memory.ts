// What this process knows better than the store for a while: sessions that it ended while the store was away.
// They are refused here at once, and deleted as soon as the store answers again, so that a logout during an outage stays a logout.
import type { EndReason } from '../store/store.ts';

const retryEveryMs = 1_000;
/** After this the record has either been deleted or has run into its own lifetime often enough; the memory stays bounded in time. */
const rememberedForMs = 5 * 60_000;
/** And in number. */
const maxRemembered = 100_000;

export interface FailoverMemory {
  /** Whether this session was ended here. */
  hasEnded(h: string): boolean;
  /** Refuses the session from now on and keeps trying to delete it. */
  endLater(h: string, reason: EndReason): void;
  close(): void;
}

/** @param end deletes the session's records; rejects while the store is away */
export function createFailoverMemory(options: {
  end: (h: string, reason: EndReason) => Promise<unknown>;
  now: () => number;
}): FailoverMemory {
  const pending = new Map<string, { reason: EndReason; until: number }>();
  let timer: NodeJS.Timeout | undefined;

  async function retry(): Promise<void> {
    for (const [h, { reason, until }] of pending) {
      try {
        await options.end(h, reason);
        pending.delete(h);
      } catch {
        if (options.now() >= until) pending.delete(h);
        else break; // Still away: the rest would only wait for the same answer.
      }
    }
    schedule();
  }

  function schedule(): void {
    timer = pending.size === 0 ? undefined : setTimeout(() => void retry(), retryEveryMs).unref();
  }

  return {
    hasEnded: (h) => pending.has(h),
    endLater(h, reason) {
      if (pending.size >= maxRemembered) return;
      pending.set(h, { reason, until: options.now() + rememberedForMs });
      if (timer === undefined) schedule();
    },
    close() {
      clearTimeout(timer);
    },
  };
}
