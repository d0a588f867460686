// Opened sessions, kept in this process for a few seconds, so that a call costs no store command.
// Kept honest by the store's messages: what they change is forgotten, and while they are not known to arrive nothing is kept at all.
import { LRUCache } from 'lru-cache';
import type { Store, StoreMessage } from '../store/store.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { OpenedSession, VaultOutcome } from './opened-session.ts';

/** However alive the messages are: what somebody changes in the store by hand shows after this. */
const lifeMs = 5_000;
const sweepEveryMs = 1_000;

export interface NearCache {
  get(h: string): OpenedSession | undefined;
  /** One read of the store for all who ask at the same time; read again when a message says that it was overtaken. */
  load(h: string, read: () => Promise<VaultOutcome>): Promise<VaultOutcome>;
  /** Keeps a session that a store operation has just brought back. */
  keep(session: OpenedSession): void;
  /** Gives what was kept. */
  forget(h: string): OpenedSession | undefined;
  /** News of a session that lives on. */
  notice(message: Exclude<StoreMessage, { what: 'ended' }>): void;
  /** Messages may have been missed. */
  silence(): void;
  close(): void;
}

interface Load {
  outcome: Promise<VaultOutcome>;
  /** A message about the session came while it was being read. */
  overtaken: boolean;
}

/** The cache of one process; `now` is epoch ms. */
export function createNearCache(options: {
  store: Pick<Store, 'listening'>;
  maxEntries: number;
  now: () => number;
  metrics: Pick<Metrics, 'nearCacheLookups' | 'nearCacheSessions'>;
}): NearCache {
  const { store, now, metrics } = options;
  const entries = new LRUCache<string, { session: OpenedSession; until: number }>({ max: options.maxEntries });
  const loads = new Map<string, Load>();

  // Nobody may ever ask for a session again, and tokens in clear are not to lie about until its place is needed.
  const sweeper = setInterval(() => {
    for (const [h, { until }] of entries.entries()) if (now() >= until) entries.delete(h);
    report();
  }, sweepEveryMs).unref();

  // Counted in plain numbers, since every call looks here.
  let hits = 0;
  let misses = 0;

  function report(): void {
    metrics.nearCacheLookups.inc({ outcome: 'hit' }, hits);
    metrics.nearCacheLookups.inc({ outcome: 'miss' }, misses);
    metrics.nearCacheSessions.set(entries.size);
    hits = 0;
    misses = 0;
  }

  function keep(session: OpenedSession): void {
    if (!store.listening()) return;
    const { record, offsetMs } = session;
    // An answer that was long on its way does not take the place of newer tokens.
    if ((entries.get(session.h)?.session.record.revision ?? 0) > record.revision) return;
    const recordEndsAt = Math.min(record.now + record.ttlMs, record.endsAt) - offsetMs;
    entries.set(session.h, { session, until: Math.min(now() + lifeMs, recordEndsAt) });
  }

  function overtake(h: string): void {
    const load = loads.get(h);
    if (load !== undefined) load.overtaken = true;
  }

  async function readUntilCurrent(load: Load, read: () => Promise<VaultOutcome>): Promise<VaultOutcome> {
    const wasOvertaken = (): boolean => load.overtaken;
    let outcome: VaultOutcome;
    do {
      load.overtaken = false;
      outcome = await read();
    } while (wasOvertaken());
    if (outcome.kind === 'signed-in') keep(outcome.session);
    return outcome;
  }

  return {
    get(h) {
      const entry = entries.get(h);
      if (entry === undefined) return undefined;
      if (now() < entry.until && store.listening()) {
        hits += 1;
        return entry.session;
      }
      entries.delete(h);
      return undefined;
    },

    load(h, read) {
      misses += 1;
      const underWay = loads.get(h);
      if (underWay !== undefined) return underWay.outcome;
      const load: Load = { outcome: Promise.resolve({ kind: 'signed-out' }), overtaken: false };
      load.outcome = readUntilCurrent(load, read).finally(() => loads.delete(h));
      loads.set(h, load);
      return load.outcome;
    },

    keep,

    forget(h) {
      const kept = entries.get(h);
      entries.delete(h);
      overtake(h);
      return kept?.session;
    },

    notice(message) {
      const { h } = message;
      const kept = entries.get(h);
      // The news may be what is kept already: this process's own commit comes back as a message.
      const isKnown = message.what === 'refreshed' && (kept?.session.record.revision ?? 0) >= message.revision;
      if (!isKnown) entries.delete(h);
      overtake(h);
    },

    silence() {
      entries.clear();
      for (const load of loads.values()) load.overtaken = true;
    },

    close() {
      clearInterval(sweeper);
    },
  };
}
