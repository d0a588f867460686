// The one refresh (RFC 6749 section 6, RFC 9700 section 4.14): however many calls, processes and machines meet an expiring token, the provider sees one call.
// Who may refresh is decided by the attempt in the session's record; what to do with the provider's answer, in refresh-flight.ts.
import { storeAway } from '../errors.ts';
import type { StoreMessage } from '../store/store.ts';
import { providerAway } from './access-token-outcome.ts';
import type { AccessTokenOutcome } from './access-token-outcome.ts';
import { freshnessOf, remainingOf } from './expiry.ts';
import type { Remaining } from './expiry.ts';
import type { OpenedSession, SessionKey } from './opened-session.ts';
import { createRefreshFlight } from './refresh-flight.ts';
import type { RefreshFlightOptions } from './refresh-flight.ts';

export interface AccessTokens {
  /**
   * The session for one proxied call. A token that is due is used and refreshed in the background; an expired one is waited for, at most 15 s,
   * and `onWait` is called as that begins.
   */
  forCall(key: SessionKey, call: { needsToken: boolean; onWait?: () => void }): Promise<AccessTokenOutcome>;
  /** The same, at once: the session when this process holds it with a token that is not due. Undefined: `forCall` knows. */
  atHand(h: string, call: { needsToken: boolean }): OpenedSession | undefined;
  /** New tokens and claims now; within 5 s of the last refresh, what is there. */
  refreshNow(key: SessionKey): Promise<AccessTokenOutcome>;
  /**
   * Another token for a call whose upstream has refused this session's: a newer one from the record, else, where it may, that of a refresh if the last is
   * 60 s past. `unchanged`: there is none.
   */
  forReplay(refused: OpenedSession, call: { mayRefresh: boolean }): Promise<AccessTokenOutcome | { kind: 'unchanged' }>;
  remainingMs(session: OpenedSession): Remaining;
  /** Wakes those who wait for another process. */
  notice(message: StoreMessage): void;
  /** Begins no refresh any more. Resolves when none of this process is under way, so that a shutdown drops no rotated token; at the latest after `atMostMs`. */
  drain(atMostMs: number): Promise<void>;
}

export interface AccessTokensOptions extends RefreshFlightOptions {
  /** How long before its expiry a token is due; see `freshnessOf`. */
  refreshBeforeMs: () => number;
}

const callerWaitsMs = 15_000;
const retryAfterPatienceMs = 5_000;
const refreshNowEveryMs = 5_000;
const refreshForReplayEveryMs = 60_000;

/** `now` is epoch ms, never going backwards. */
export function createAccessTokens(options: AccessTokensOptions): AccessTokens {
  const { vault, refreshBeforeMs, now } = options;
  const flights = new Map<string, Promise<AccessTokenOutcome>>();
  const flight = createRefreshFlight(options);

  const storeTime = (session: OpenedSession): number => now() + session.offsetMs;

  /** One flight per session in this process; detached from its callers, so that one who hangs up cancels nothing. Never rejects. */
  function refresh(session: OpenedSession): Promise<AccessTokenOutcome> {
    const { h } = session;
    const underWay = flights.get(h);
    if (underWay !== undefined) return underWay;
    const started = flight.fly(session).finally(() => flights.delete(h));
    flights.set(h, started);
    return started;
  }

  async function load(key: SessionKey): Promise<AccessTokenOutcome> {
    const outcome = await vault.load(key);
    return outcome.kind === 'unavailable' ? { kind: 'unavailable', error: storeAway(outcome.cause) } : outcome;
  }

  return {
    atHand(h, { needsToken }) {
      const session = vault.atHand(h);
      if (session === undefined || !needsToken) return session;
      return freshnessOf(session.record, storeTime(session), refreshBeforeMs()) === 'fresh' ? session : undefined;
    },

    async forCall(key, { needsToken, onWait }) {
      const loaded = await load(key);
      if (loaded.kind !== 'signed-in' || !needsToken) return loaded;
      const { session } = loaded;
      switch (freshnessOf(session.record, storeTime(session), refreshBeforeMs())) {
        case 'fresh':
          return loaded;
        case 'due':
          if (session.tokens.refreshToken !== undefined && !isBackedOff(session, storeTime(session)))
            void refresh(session);
          return loaded;
        case 'expired':
          if (session.tokens.refreshToken === undefined) return { kind: 'signed-out' };
          onWait?.();
          return patiently(refresh(session));
      }
    },

    async refreshNow(key) {
      const loaded = await load(key);
      if (loaded.kind !== 'signed-in' || loaded.session.tokens.refreshToken === undefined) return loaded;
      const { session } = loaded;
      if (storeTime(session) - session.record.refreshedAt < refreshNowEveryMs) return loaded;
      return patiently(refresh(session));
    },

    async forReplay(refused, { mayRefresh }) {
      const loaded = await load(refused);
      if (loaded.kind !== 'signed-in') return loaded;
      const { session } = loaded;
      if (session.record.revision > refused.record.revision) return loaded;
      const isTooSoon = storeTime(session) - session.record.refreshedAt < refreshForReplayEveryMs;
      if (!mayRefresh || isTooSoon || session.tokens.refreshToken === undefined) return { kind: 'unchanged' };
      return patiently(refresh(session));
    },

    remainingMs(session) {
      const storeNow = storeTime(session);
      return remainingOf(session.record, storeNow, session.record.ttlMs - (storeNow - session.record.now));
    },

    notice: (message) => flight.notice(message),

    drain: (atMostMs) => flight.drain(atMostMs),
  };
}

function isBackedOff(session: OpenedSession, storeNow: number): boolean {
  return session.record.retryAt !== undefined && session.record.retryAt > storeNow;
}

// The caller's patience, not the flight's: it goes on, and the next call finds its result.
async function patiently(flight: Promise<AccessTokenOutcome>): Promise<AccessTokenOutcome> {
  const { promise: patienceLost, resolve } = Promise.withResolvers<AccessTokenOutcome>();
  const timer = setTimeout(() => {
    resolve(providerAway(retryAfterPatienceMs));
  }, callerWaitsMs);
  try {
    return await Promise.race([flight, patienceLost]);
  } finally {
    clearTimeout(timer);
  }
}
