// The token vault: sessions' tokens, opened for the holder of the cookie and for nobody else.
// Signed in means: the token record exists. Nothing here decides about refreshing; access-token.ts does.
import type { Config } from '../config/schema.ts';
import type { Tokens, TokenSet } from '../oidc/token-set.ts';
import type { EndReason, LoadedRecord, Store, StoreListener } from '../store/store.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { isSlideDue } from './expiry.ts';
import { createFailoverMemory } from './failover-memory.ts';
import { createNearCache } from './near-cache.ts';
import { createSessionOpener } from './opened-session.ts';
import type { OpenedSession, SessionKey, VaultOutcome } from './opened-session.ts';
import type { TokenSeal } from './seal.ts';

/** Hears the store's messages, so that what is kept in this process stays true. */
export interface TokenVault extends StoreListener {
  /** What is kept in this process, at once. Undefined: `load` knows. */
  atHand(h: string): OpenedSession | undefined;
  load(key: SessionKey): Promise<VaultOutcome>;
  /** Opens a record that a store operation brought back, for this call and those that follow; null when no key of ours does, or when it belongs to another registration. */
  adopt(sessionId: string, h: string, record: LoadedRecord): OpenedSession | null;
  /** The same for a record that this process has just committed: it is written again should a failover undo it. */
  committed(sessionId: string, h: string, record: LoadedRecord): OpenedSession | null;
  /** Writes a new session's tokens. Throws StoreUnavailable. */
  put(sessionId: string, tokens: TokenSet, lifetimes: Lifetimes): Promise<void>;
  /** Seals tokens as the content of a revision, for a commit. */
  seal(session: Pick<OpenedSession, 'sessionId' | 'h'>, revision: number, tokens: Tokens): string;
  /** Notes activity: decides by itself whether it is time, never awaited, never throws. */
  slide(session: Activity): void;
  /** The store has ended a session in a way of its own (`endIf`): forgets it here. */
  ended(h: string, reason: EndReason): void;
  /** Ends a session. `pending`: the store is away; the session is refused here at once and its deletion is tried again. */
  end(h: string, reason: EndReason): Promise<'ended' | 'pending'>;
  close(): void;
}

/** How long a new session lives without activity, and at all. */
export interface Lifetimes {
  idleMs: number;
  absoluteMs: number;
}

/** What of a session is kept where its activity is noted for hours: no token. */
export type Activity = Pick<OpenedSession, 'h' | 'record' | 'offsetMs'>;

export interface TokenVaultOptions {
  store: Store;
  seal: TokenSeal;
  hashOf: (sessionId: string) => string;
  /** The registration whose tokens these are: records of another one are not used. */
  registration: Pick<Config['provider'], 'issuer' | 'clientId'>;
  /** Whether any route sends tokens on: then a session without a refresh token ends with its access token. */
  tokensNeeded: () => boolean;
  nearCache: { enabled: boolean; maxEntries: number };
  /** A session was ended by this process, store or no store: for what is open of it here. */
  onEnd: (h: string, reason: EndReason) => void;
  /** A session was ended, by whichever process, that this one still held opened: what needs its tokens is done now or never. */
  onHeldEnd: (session: OpenedSession, reason: EndReason) => void;
  now: () => number;
  metrics: Metrics;
  log: Logger;
}

/** Hears nothing by itself: the caller subscribes it to the store. `now` is epoch ms, never going backwards. */
export function createTokenVault(options: TokenVaultOptions): TokenVault {
  const { store, seal, hashOf, registration, now, metrics } = options;
  const failover = createFailoverMemory({ store, now });
  const { enabled, maxEntries } = options.nearCache;
  const nearCache = enabled ? createNearCache({ store, maxEntries, now, metrics }) : undefined;
  const open = createSessionOpener({ seal, registration, now, metrics });
  const sliding = new Set<string>();

  // Where no route sends tokens on, nothing is refreshed, and no end of a token's matters.
  function refreshExpiresInMsFor({ refreshToken, refreshExpiresInMs }: TokenSet): number | undefined {
    return refreshToken === undefined || !options.tokensNeeded() ? undefined : refreshExpiresInMs;
  }

  function absoluteMsFor(tokens: TokenSet, absoluteMs: number): number {
    const endsWithToken = tokens.refreshToken === undefined && options.tokensNeeded();
    return Math.max(1, Math.min(absoluteMs, endsWithToken ? (tokens.expiresInMs ?? Infinity) : Infinity));
  }

  async function read(sessionId: string, h: string): Promise<VaultOutcome> {
    let record: LoadedRecord | 'unreadable' | null;
    try {
      record = await store.load(h);
    } catch (cause) {
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
  }

  function adopt(sessionId: string, h: string, record: LoadedRecord): OpenedSession | null {
    const session = failover.hasEnded(h) ? null : open(sessionId, h, record);
    if (session !== null) nearCache?.keep(session);
    return session;
  }

  async function endInStore(h: string, reason: EndReason): Promise<'ended' | 'pending'> {
    try {
      await store.end(h, reason);
      failover.ended(h, reason, 'confirmed');
      return 'ended';
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      options.log.warn(
        { err: error },
        'a session was ended while the store is away: refused here, deletion is retried',
      );
      failover.ended(h, reason, 'pending');
      return 'pending';
    }
  }

  return {
    atHand: (h) => (failover.hasEnded(h) ? undefined : nearCache?.get(h)),

    async load({ sessionId, h }) {
      if (failover.hasEnded(h)) return { kind: 'signed-out' };
      if (nearCache === undefined) return read(sessionId, h);
      const session = nearCache.get(h);
      return session === undefined ? nearCache.load(h, () => read(sessionId, h)) : { kind: 'signed-in', session };
    },

    adopt,

    committed(sessionId, h, record) {
      failover.committed(h, record);
      return adopt(sessionId, h, record);
    },

    async put(sessionId, tokens, { idleMs, absoluteMs }) {
      const h = hashOf(sessionId);
      await store.put(h, {
        main: seal.seal({ sessionId, h }, 1, tokens),
        expiresInMs: tokens.expiresInMs,
        refreshExpiresInMs: refreshExpiresInMsFor(tokens),
        idleMs,
        absoluteMs: absoluteMsFor(tokens, absoluteMs),
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
        .then(() => {
          // The same object is in the near cache: without this every call until its end would slide again.
          record.now = storeNow;
          record.ttlMs = Math.min(record.idleMs, record.absoluteExpiresAt - storeNow);
        })
        .catch(() => undefined)
        .finally(() => sliding.delete(h));
    },

    ended(h, reason) {
      nearCache?.forget(h);
      failover.ended(h, reason, 'confirmed');
      options.onEnd(h, reason);
    },

    async end(h, reason) {
      const held = nearCache?.forget(h);
      options.onEnd(h, reason);
      const outcome = await endInStore(h, reason);
      if (held !== undefined) options.onHeldEnd(held, reason);
      return outcome;
    },

    message(message) {
      if (message.what !== 'ended') {
        nearCache?.notice(message);
        return;
      }
      const { h, reason } = message;
      const held = nearCache?.forget(h);
      failover.ended(h, reason, 'confirmed');
      if (held !== undefined) options.onHeldEnd(held, reason);
    },

    silence: () => nearCache?.silence(),
    reconnect: () => failover.reconnect(),
    close() {
      nearCache?.close();
      failover.close();
    },
  };
}
