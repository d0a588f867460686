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

interface Ended {
  reason: EndReason;
  until: number;
  pending: boolean;
}

export function createFailoverMemory(options: {
  store: Pick<Store, 'end' | 'restore'>;
  now: () => number;
}): FailoverMemory {
  const { store, now } = options;
  // Both in the order of their ends, so that the oldest is always the first.
  const ended = new Map<string, Ended>();
  const committed = new Map<string, { record: LoadedRecord; until: number }>();
  let timer: NodeJS.Timeout | undefined;

  async function endAgain(): Promise<void> {
    for (const [h, memory] of ended) {
      if (!memory.pending) continue;
      await store.end(h, memory.reason);
      memory.pending = false;
    }
  }

  async function commitAgain(): Promise<void> {
    for (const [h, { record }] of committed) await store.restore(h, record);
  }

  function endSoon(): void {
    timer ??= setTimeout(() => {
      timer = undefined;
      dropOld(ended, maxEnded, now());
      endAgain().catch((error: unknown) => {
        if (!(error instanceof StoreUnavailable)) throw error;
        endSoon();
      });
    }, retryEveryMs).unref();
  }

  return {
    hasEnded: (h) => (ended.get(h)?.until ?? 0) > now(),

    ended(h, reason, state) {
      committed.delete(h);
      ended.delete(h);
      ended.set(h, { reason, until: now() + endedForMs, pending: state === 'pending' });
      dropOld(ended, maxEnded, now());
      if (state === 'pending') endSoon();
    },

    committed(h, record) {
      committed.delete(h);
      committed.set(h, { record, until: now() + committedForMs });
      dropOld(committed, maxCommitted, now());
    },

    reconnect() {
      dropOld(committed, maxCommitted, now());
      for (const memory of ended.values()) memory.pending = true;
      if (ended.size > 0) endSoon();
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
