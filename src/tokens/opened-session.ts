// A session with its tokens in clear, as it is while a request is served.
import type { Config } from '../config/schema.ts';
import type { Tokens } from '../oidc/token-set.ts';
import type { LoadedRecord } from '../store/store.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { TokenSeal } from './seal.ts';

/** What a cookie that we signed gives: the id that opens a session's record, and the record's name in the store. */
export interface SessionKey {
  sessionId: string;
  h: string;
}

/** One live session with its tokens in clear: stays in memory, for seconds at most. */
export interface OpenedSession extends SessionKey {
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

/** Opens a record; null when no key of ours does, or when it belongs to another registration at the provider. */
export type OpenSession = (sessionId: string, h: string, loaded: LoadedRecord) => OpenedSession | null;

/** `now` is epoch ms, to be compared with the store's clock. Counts what cannot be opened. */
export function createSessionOpener(options: {
  seal: TokenSeal;
  registration: Pick<Config['provider'], 'issuer' | 'clientId'>;
  now: () => number;
  metrics: Metrics;
}): OpenSession {
  const { seal, registration, now, metrics } = options;
  return (sessionId, h, { main, ...record }) => {
    const isOurs = record.issuer === registration.issuer && record.clientId === registration.clientId;
    const tokens = isOurs ? seal.open({ sessionId, h }, record.revision, main) : null;
    if (tokens === null) {
      // Kept, not deleted: during a key change or a rolling deploy another replica may well be able to read it.
      metrics.unreadableSessions.inc();
      return null;
    }
    return { sessionId, h, tokens, record, offsetMs: record.now - now() };
  };
}
