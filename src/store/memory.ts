// The embedded store, for one process: the same rules as the scripts of redis-scripts.ts, each operation in one synchronous step.
// Sessions are gone when the process is.
import { ExpiringMap } from './expiring-map.ts';
import { createMemoryIndex } from './memory-index.ts';
import { createListeners } from './messages.ts';
import type { LoadedRecord, Store, TokenRecord } from './store.ts';

const sweepEveryMs = 1_000;

/** `takeover` is kept so that an owner who asks twice is answered the same. */
type Attempt = NonNullable<TokenRecord['attempt']> & { takeover: boolean };
type KeptRecord = Omit<TokenRecord, 'attempt'> & { attempt: Attempt | undefined };

/** `now` is epoch ms; it is the store's clock. */
export function createMemoryStore({ now }: { now: () => number }): Store {
  const records = new ExpiringMap<KeptRecord>(now);
  const sessions = new ExpiringMap<string>(now);
  const claims = new ExpiringMap<string>(now);
  const logoutTickets = new ExpiringMap<string>(now);
  const marks = new ExpiringMap<number>(now);
  const index = createMemoryIndex(now);
  const listeners = createListeners();

  const sweeper = setInterval(() => {
    for (const map of [records, sessions, claims, logoutTickets, marks, index]) map.sweep();
  }, sweepEveryMs);
  sweeper.unref();

  const endOf = ({ absoluteExpiresAt, refreshExpiresAt = Infinity, attempt }: KeptRecord): number =>
    Math.min(absoluteExpiresAt, Math.max(refreshExpiresAt, attempt?.deadlineAt ?? 0));

  function recordOf(h: string): KeptRecord | undefined {
    const record = records.get(h);
    return record === undefined || now() >= endOf(record) ? undefined : record;
  }

  // A copy: a caller that keeps its record must not see, or make, later writes.
  function snapshot(h: string, record: KeptRecord): LoadedRecord {
    const attempt = record.attempt && { owner: record.attempt.owner, deadlineAt: record.attempt.deadlineAt };
    const ttlMs = (records.expiresAt(h) ?? now()) - now();
    return { ...record, attempt, now: now(), ttlMs, endsAt: endOf(record) };
  }

  function forget(h: string): boolean {
    sessions.delete(h);
    return records.delete(h);
  }

  function renew(h: string, ttlMs: number): void {
    records.expire(h, ttlMs);
    sessions.expire(h, ttlMs);
  }

  const after = (ms: number | undefined) => (ms === undefined ? undefined : now() + ms);

  /* eslint-disable @typescript-eslint/require-await -- The port is asynchronous; what keeps an operation atomic here is that it awaits nothing. */
  return {
    async load(h) {
      const record = recordOf(h);
      return record === undefined ? null : snapshot(h, record);
    },

    async put(h, { main, clientId, issuer, idleMs, absoluteMs, expiresInMs, refreshExpiresInMs }) {
      const record: KeptRecord = {
        main,
        revision: 1,
        expiresAt: after(expiresInMs),
        refreshedAt: now(),
        retryAt: undefined,
        attempt: undefined,
        committedBy: undefined,
        absoluteExpiresAt: now() + absoluteMs,
        refreshExpiresAt: after(refreshExpiresInMs),
        idleMs,
        clientId,
        issuer,
      };
      const ttlMs = Math.min(idleMs, absoluteMs);
      records.set(h, record, ttlMs);
      renew(h, ttlMs);
    },

    async begin({ h, revision, owner }, deadlineMs) {
      const record = recordOf(h);
      if (record === undefined) return { kind: 'gone' };
      if (record.revision !== revision) return { kind: 'moved', record: snapshot(h, record) };
      const retryInMs = (record.retryAt ?? 0) - now();
      if (retryInMs > 0) return { kind: 'back-off', retryInMs };

      const standing = record.attempt;
      if (standing?.owner === owner) return { kind: 'begun', takeover: standing.takeover };
      const waitMs = (standing?.deadlineAt ?? 0) - now();
      if (waitMs > 0) return { kind: 'wait', waitMs };
      const takeover = standing !== undefined;
      record.attempt = { owner, deadlineAt: now() + deadlineMs, takeover };
      return { kind: 'begun', takeover };
    },

    async commit({ h, revision, owner }, { main, expiresInMs, refreshExpiresInMs }) {
      const record = recordOf(h);
      if (record === undefined) return { kind: 'gone' };
      if (record.revision !== revision) {
        return { kind: record.committedBy === owner ? 'committed' : 'moved', record: snapshot(h, record) };
      }
      record.main = main;
      record.revision += 1;
      record.expiresAt = after(expiresInMs);
      record.refreshExpiresAt = after(refreshExpiresInMs) ?? record.refreshExpiresAt;
      record.refreshedAt = now();
      record.committedBy = owner;
      record.attempt = undefined;
      record.retryAt = undefined;
      listeners.deliver({ what: 'refreshed', h, revision: record.revision });
      return { kind: 'committed', record: snapshot(h, record) };
    },

    async fail({ h, revision, owner }, retryAfterMs) {
      const record = recordOf(h);
      if (record?.revision !== revision || record.attempt?.owner !== owner) return;
      record.attempt = undefined;
      record.retryAt = now() + retryAfterMs;
      listeners.deliver({ what: 'failed', h, revision });
    },

    async endIf({ h, revision, owner }, reason) {
      const record = recordOf(h);
      if (record === undefined) return { kind: 'gone' };
      if (record.revision !== revision || record.attempt?.owner !== owner) {
        return { kind: 'kept', record: snapshot(h, record) };
      }
      forget(h);
      listeners.deliver({ what: 'ended', h, reason });
      return { kind: 'ended' };
    },

    async end(h, reason) {
      const existed = forget(h);
      listeners.deliver({ what: 'ended', h, reason });
      return existed;
    },

    async slide(h) {
      const record = recordOf(h);
      if (record !== undefined) renew(h, Math.min(record.idleMs, record.absoluteExpiresAt - now()));
    },

    async restore(h, { revision, main, expiresAt, refreshExpiresAt, refreshedAt, committedBy }) {
      const record = recordOf(h);
      if (record === undefined || record.revision >= revision) return;
      Object.assign(record, {
        revision,
        main,
        expiresAt,
        refreshExpiresAt: refreshExpiresAt ?? record.refreshExpiresAt,
        refreshedAt,
        committedBy,
        attempt: undefined,
        retryAt: undefined,
      });
      listeners.deliver({ what: 'refreshed', h, revision });
    },

    async readSession(h) {
      return sessions.get(h) ?? null;
    },

    async writeSession(h, json, ttlSeconds) {
      sessions.set(h, json, ttlSeconds * 1000);
    },

    async deleteSession(h) {
      sessions.delete(h);
    },

    async claimOnce(key, claimant, ttlSeconds) {
      const first = claims.get(key);
      if (first === undefined) claims.set(key, claimant, ttlSeconds * 1000);
      return first === undefined || first === claimant;
    },

    async indexAdd(key, h, absoluteMs) {
      index.add(key, h, absoluteMs);
    },

    async indexFind(key) {
      return index.find(key);
    },

    async indexRemove(key, h) {
      index.remove(key, h);
    },

    async mark(key, at, ttlSeconds) {
      marks.set(key, Math.max(marks.get(key) ?? 0, at), ttlSeconds * 1000);
    },

    async marked(key) {
      return marks.get(key) ?? null;
    },

    async putLogoutTicket(key, sealed, ttlSeconds) {
      logoutTickets.set(key, sealed, ttlSeconds * 1000);
    },

    async takeLogoutTicket(key) {
      const sealed = logoutTickets.get(key) ?? null;
      logoutTickets.delete(key);
      return sealed;
    },

    subscribe: (listener) => listeners.subscribe(listener),
    listening: () => true,
    ping: async () => undefined,
    settled: () => true,

    async close() {
      clearInterval(sweeper);
      listeners.clear();
    },
  };
  /* eslint-enable @typescript-eslint/require-await */
}
