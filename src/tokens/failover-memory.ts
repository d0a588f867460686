// What this process knows better than the store for a while. Replication is asynchronous, so a failover can undo the last second, and an outage can swallow a logout:
// ended sessions are refused here before anybody asks the store, and deleted again; tokens that were committed are written again.
import type { EndReason, LoadedRecord, Store } from '../store/store.ts';
import { StoreUnavailable } from '../store/store.ts';

const endedForMs = 5 * 60_000;
const committedForMs = 60_000;
const maxEnded = 100_000;
const maxCommitted = 20_000;
const retryEveryMs = 1_000;

export interface FailoverMemory {
  hasEnded(h: string): boolean;
  /** Ended here or elsewhere. `pending`: the store has not confirmed it, and is asked again until it does. */
  ended(h: string, reason: EndReason, state: 'confirmed' | 'pending'): void;
  /** A refreshed record, as this process has just written it. */
  committed(h: string, record: LoadedRecord): void;
  /** The store may have gone back a second. */
  reconnect(): void;
  close(): void;
}

/** The memory of one process; `now` is epoch ms. */
export function createFailoverMemory(options: {
  store: Pick<Store, 'end' | 'restore'>;
  now: () => number;
}): FailoverMemory {
  const { store, now } = options;
  // Ends that the store has not confirmed: kept however long it is away. `until` is known for those it had confirmed before a reconnect.
  const pending = new Map<string, { reason: EndReason; until: number | undefined }>();
  // Both in the order of their ends, so that the oldest is always the first.
  const confirmed = new Map<string, { reason: EndReason; until: number }>();
  const committed = new Map<string, { record: LoadedRecord; until: number }>();
  let timer: NodeJS.Timeout | undefined;

  function confirm(h: string, reason: EndReason, until = now() + endedForMs): void {
    pending.delete(h);
    confirmed.delete(h);
    confirmed.set(h, { reason, until });
    dropOld(confirmed, maxEnded, now());
  }

  async function endAgain(): Promise<void> {
    for (const [h, { reason, until }] of pending) {
      await store.end(h, reason);
      confirm(h, reason, until);
    }
  }

  async function commitAgain(): Promise<void> {
    for (const [h, { record }] of committed) await store.restore(h, record);
  }

  function endSoon(): void {
    timer ??= setTimeout(() => {
      timer = undefined;
      endAgain().catch((error: unknown) => {
        if (!(error instanceof StoreUnavailable)) throw error;
        endSoon();
      });
    }, retryEveryMs).unref();
  }

  return {
    hasEnded: (h) => pending.has(h) || (confirmed.get(h)?.until ?? 0) > now(),

    ended(h, reason, state) {
      committed.delete(h);
      if (state === 'confirmed') {
        confirm(h, reason);
        return;
      }
      const [oldest] = pending.size < maxEnded ? [] : pending.keys();
      if (oldest !== undefined) pending.delete(oldest);
      pending.set(h, { reason, until: undefined });
      endSoon();
    },

    committed(h, record) {
      committed.delete(h);
      committed.set(h, { record, until: now() + committedForMs });
      dropOld(committed, maxCommitted, now());
    },

    reconnect() {
      dropOld(confirmed, maxEnded, now());
      dropOld(committed, maxCommitted, now());
      for (const [h, memory] of confirmed) if (!pending.has(h)) pending.set(h, memory);
      if (pending.size > 0) endSoon();
      // Should the store go away again meanwhile, the next reconnect does it once more.
      commitAgain().catch((error: unknown) => {
        if (!(error instanceof StoreUnavailable)) throw error;
      });
    },

    close() {
      clearTimeout(timer);
    },
  };
}

function dropOld(memories: Map<string, { until: number }>, atMost: number, now: number): void {
  for (const [h, { until }] of memories) {
    if (until > now && memories.size <= atMost) return;
    memories.delete(h);
  }
}
