// The token vault: sessions' tokens, opened for the holder of the cookie and for nobody else.
// Signed in means: the token record exists. Nothing here decides about refreshing; access-token.ts does.
import type { Config } from '../config/schema.ts';
import type { Tokens, TokenSet } from '../oidc/token-set.ts';
import type { EndReason, LoadedRecord, Store } from '../store/store.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { isSlideDue } from './expiry.ts';
import { createFailoverMemory } from './failover-memory.ts';
import type { TokenSeal } from './seal.ts';

/** One live session with its tokens in clear: stays in memory, for the length of a request. */
export interface OpenedSession {
  sessionId: string;
  h: string;
  tokens: Tokens;
  record: Omit<LoadedRecord, 'main'>;
  /** The store's clock minus ours, in ms. */
  offsetMs: number;
}

export type VaultOutcome =
  | { kind: 'signed-in'; session: OpenedSession }
  | { kind: 'signed-out' }
  /** The store did not answer: nothing is known. Never to be taken for "signed out". */
  | { kind: 'unavailable'; cause: unknown };

export interface TokenVault {
  load(sessionId: string): Promise<VaultOutcome>;
  /** Opens a record that a store operation brought back; null when no key of ours does, or when it belongs to another registration. */
  open(sessionId: string, h: string, record: LoadedRecord): OpenedSession | null;
  /** Writes a new session's tokens. Throws StoreUnavailable. */
  put(sessionId: string, tokens: TokenSet): Promise<void>;
  /** Seals tokens as the content of a revision, for a commit. */
  seal(session: Pick<OpenedSession, 'sessionId' | 'h'>, revision: number, tokens: Tokens): string;
  /** Notes activity: decides by itself whether it is time, never awaited, never throws. */
  slide(session: OpenedSession): void;
  /** Ends a session. `pending`: the store is away; the session is refused here at once and its deletion is tried again. */
  end(h: string, reason: EndReason): Promise<'ended' | 'pending'>;
  close(): void;
}

export interface TokenVaultOptions {
  store: Store;
  seal: TokenSeal;
  hashOf: (sessionId: string) => string;
  /** The registration whose tokens these are: records of another one are not used. */
  registration: Pick<Config['provider'], 'issuer' | 'clientId'>;
  lifetimes: { idleMs: number; absoluteMs: number };
  /** Whether any route sends tokens on: then a session without a refresh token ends with its access token. */
  tokensNeeded: boolean;
  now: () => number;
  metrics: Metrics;
  log: Logger;
}

export function createTokenVault(options: TokenVaultOptions): TokenVault {
  const { store, seal, hashOf, registration, lifetimes, now, metrics } = options;
  const failover = createFailoverMemory({ end: (h, reason) => store.end(h, reason), now });
  const sliding = new Set<string>();

  function open(sessionId: string, h: string, loaded: LoadedRecord): OpenedSession | null {
    const { main, ...record } = loaded;
    const isOurs = record.issuer === registration.issuer && record.clientId === registration.clientId;
    const tokens = isOurs ? seal.open({ sessionId, h }, record.revision, main) : null;
    if (tokens === null) {
      // Kept, not deleted: during a key change or a rolling deploy another replica may well be able to read it.
      metrics.unreadableSessions.inc();
      return null;
    }
    return { sessionId, h, tokens, record, offsetMs: record.now - now() };
  }

  function absoluteMsFor(tokens: TokenSet): number {
    const limits = [lifetimes.absoluteMs];
    if (tokens.refreshToken === undefined) {
      if (options.tokensNeeded && tokens.expiresInMs !== undefined) limits.push(tokens.expiresInMs);
    } else if (tokens.refreshExpiresInMs !== undefined) {
      limits.push(tokens.refreshExpiresInMs);
    }
    return Math.max(1, Math.min(...limits));
  }

  return {
    open,

    async load(sessionId) {
      const h = hashOf(sessionId);
      if (failover.hasEnded(h)) return { kind: 'signed-out' };
      let record: LoadedRecord | 'unreadable' | null;
      try {
        record = await store.load(h);
      } catch (cause) {
        metrics.storeErrors.inc();
        return { kind: 'unavailable', cause };
      }
      // Asked again, because the logout may have come while the record was on its way.
      if (record === null || failover.hasEnded(h)) return { kind: 'signed-out' };
      if (record === 'unreadable') {
        metrics.unreadableSessions.inc();
        return { kind: 'signed-out' };
      }
      const session = open(sessionId, h, record);
      return session === null ? { kind: 'signed-out' } : { kind: 'signed-in', session };
    },

    async put(sessionId, tokens) {
      const h = hashOf(sessionId);
      await store.put(h, {
        main: seal.seal({ sessionId, h }, 1, tokens),
        expiresInMs: tokens.expiresInMs,
        idleMs: lifetimes.idleMs,
        absoluteMs: absoluteMsFor(tokens),
        clientId: registration.clientId,
        issuer: registration.issuer,
      });
    },

    seal: (session, revision, tokens) => seal.seal(session, revision, tokens),

    slide({ h, record, offsetMs }) {
      const storeNow = now() + offsetMs;
      if (sliding.has(h) || !isSlideDue(record, storeNow, record.ttlMs - (storeNow - record.now))) return;
      sliding.add(h);
      store
        .slide(h)
        .catch(() => metrics.storeErrors.inc())
        .finally(() => sliding.delete(h));
    },

    async end(h, reason) {
      try {
        if (await store.end(h, reason)) metrics.logouts.inc({ reason });
        return 'ended';
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        metrics.storeErrors.inc();
        options.log.warn(
          { err: error },
          'a session was ended while the store is away: refused here, deletion is retried',
        );
        failover.endLater(h, reason);
        return 'pending';
      }
    },

    close: () => failover.close(),
  };
}
