// When a token is used, refreshed or waited for, and when activity is written down: pure rules over the record's instants, all on the store's clock.
import type { LoadedRecord, TokenRecord } from '../store/store.ts';

type Lifetime = Pick<TokenRecord, 'expiresAt' | 'refreshedAt'>;

/** fresh: use it. due: use it, and refresh in the background. expired: wait for the refresh. */
export type Freshness = 'fresh' | 'due' | 'expired';

/** A token without a known expiry is always fresh: only the upstream's 401 says otherwise (RFC 6749 section 5.1). */
export function freshnessOf(record: Lifetime, now: number, refreshBeforeMs: number): Freshness {
  const { expiresAt, refreshedAt } = record;
  if (expiresAt === undefined) return 'fresh';
  const lifetimeMs = expiresAt - refreshedAt;
  // A provider that hands out tokens which are already stale must not be asked at every call.
  if (now < refreshedAt + Math.max(2_000, lifetimeMs / 10)) return 'fresh';
  if (now >= expiresAt) return 'expired';
  return now >= expiresAt - Math.min(refreshBeforeMs, lifetimeMs / 5) ? 'due' : 'fresh';
}

/** Whether activity should be written to the store: at most every minute, or every tenth of a shorter idle time. `ttlMs` is what the record has left without. */
export function isSlideDue(
  record: Pick<TokenRecord, 'absoluteExpiresAt' | 'idleMs'>,
  now: number,
  ttlMs: number,
): boolean {
  const fullMs = Math.min(record.idleMs, record.absoluteExpiresAt - now);
  return fullMs - ttlMs >= Math.min(60_000, record.idleMs / 10);
}

/** What is left of a session, in ms; never negative. */
export interface Remaining {
  idle: number;
  /** Until the end that activity alone does not put off. */
  absolute: number;
  /** Undefined when the provider did not say. */
  accessToken: number | undefined;
}

/** `now` is the store's clock, `ttlMs` what the record has left without activity. */
export function remainingOf(record: Pick<LoadedRecord, 'expiresAt' | 'endsAt'>, now: number, ttlMs: number): Remaining {
  return {
    idle: Math.max(0, ttlMs),
    absolute: Math.max(0, record.endsAt - now),
    accessToken: record.expiresAt === undefined ? undefined : Math.max(0, record.expiresAt - now),
  };
}
