// The store's port: named operations, never commands or Lua, so that Redis and memory are the same to everybody above.
// Every operation that writes a token record is atomic, and gives the same owner the same answer when a command is sent twice.

/** What `put` writes and `load` reads of a token record. Instants are epoch ms on the store's clock. */
export interface TokenRecord {
  /** The sealed token set; only `tokens/seal` can read it. */
  main: string;
  /** Counts the writes of `main`, from 1. */
  revision: number;
  /** When the access token expires; undefined when the provider did not say. */
  expiresAt: number | undefined;
  /** When these tokens came: the login, then each refresh. */
  refreshedAt: number;
  /** No refresh is begun before this instant (back-off after a failure). */
  retryAt: number | undefined;
  /** The refresh under way. */
  attempt: { owner: string; deadlineAt: number } | undefined;
  /** The owner whose commit wrote this revision. */
  committedBy: string | undefined;
  /** The end of the session that nothing moves. */
  absoluteExpiresAt: number;
  /** The refresh token's own end, where the provider tells it. The session ends with it, unless a refresh moves it or is under way. */
  refreshExpiresAt?: number | undefined;
  /** The span that activity renews. */
  idleMs: number;
  /** Which registration the tokens belong to: in clear, so that a configuration change is noticed without a key. */
  clientId: string;
  issuer: string;
}

/** A record as it was read. */
export interface LoadedRecord extends TokenRecord {
  /** The store's clock at the read, epoch ms. */
  now: number;
  /** How long the record still lives without activity, in ms; not counting the refresh token's end, which activity does not put off. */
  ttlMs: number;
  /** The end that activity alone does not put off: the absolute one, or the refresh token's. */
  endsAt: number;
}

/** What a token response brought. */
export interface NewTokens {
  main: string;
  expiresInMs: number | undefined;
  /** Undefined: what was known of the refresh token's end stays. */
  refreshExpiresInMs?: number | undefined;
}

/** A new token record, at login. Spans are turned into instants on the store's clock. */
export interface NewTokenRecord extends NewTokens {
  idleMs: number;
  absoluteMs: number;
  clientId: string;
  issuer: string;
}

/** Names one refresh attempt on one record. */
export interface AttemptRef {
  h: string;
  /** The revision whose refresh token the attempt sends. */
  revision: number;
  /** Random, one per attempt: by it a command that was sent twice is recognised. */
  owner: string;
}

export type BeginOutcome =
  /** Ours: send the refresh token. `takeover` when an earlier attempt had passed its deadline. */
  | { kind: 'begun'; takeover: boolean }
  /** Somebody else's attempt stands; it may take `waitMs` more. */
  | { kind: 'wait'; waitMs: number }
  /** Back-off: not before `retryInMs`. */
  | { kind: 'back-off'; retryInMs: number }
  /** The revision moved on: here is what there is. */
  | { kind: 'moved'; record: LoadedRecord }
  | { kind: 'gone' };

export type CommitOutcome =
  /** Written, now or by an earlier copy of the same command. */
  | { kind: 'committed'; record: LoadedRecord }
  /** Another attempt's tokens are there: use them, drop ours without revoking. */
  | { kind: 'moved'; record: LoadedRecord }
  /** The session ended meanwhile: revoke what we got. */
  | { kind: 'gone' };

export type EndIfOutcome =
  | { kind: 'ended' }
  /** Not ours to end: the revision moved on or another attempt stands. */
  | { kind: 'kept'; record: LoadedRecord }
  | { kind: 'gone' };

/** Why a session ended. */
export type EndReason = 'logout' | 'replaced' | 'revoked' | 'back-channel' | 'front-channel' | 'limit' | 'admin';

/** Published by every write that changes or ends a record; never a token. */
export type StoreMessage =
  | { what: 'refreshed'; h: string; revision: number }
  | { what: 'failed'; h: string; revision: number }
  | { what: 'ended'; h: string; reason: EndReason };

/** What a store tells those who subscribe. None of them is called within a store operation. */
export interface StoreListener {
  /** A message of any process, this one included. */
  message(message: StoreMessage): void;
  /** Messages may have been missed: what was believed because none came must be asked again. */
  silence(): void;
  /** The connection stands again, perhaps to another primary, which has not heard of the last second. */
  reconnect(): void;
}

export interface Store {
  /** Reads a token record, with the store's clock; null when there is none (expired, ended, never made). `unreadable`: there is one, of another format or damaged; it is kept. */
  load(h: string): Promise<LoadedRecord | 'unreadable' | null>;
  /** Writes the token record of a new session at revision 1 and gives both of its records their lifetime. */
  put(h: string, record: NewTokenRecord): Promise<void>;
  /** Claims the refresh of a revision. `deadlineMs` from now the claim may be taken over. */
  begin(attempt: AttemptRef, deadlineMs: number): Promise<BeginOutcome>;
  /** Writes new tokens, sealed under `attempt.revision + 1`, clears the attempt and publishes `refreshed`. An unchanged revision is written whoever's attempt stands there. */
  commit(attempt: AttemptRef, tokens: NewTokens): Promise<CommitOutcome>;
  /** Gives an attempt up: clears it if it is ours, sets `retryAt`, publishes `failed`. */
  fail(attempt: AttemptRef, retryAfterMs: number): Promise<void>;
  /** Ends the session only if the revision is unchanged and the attempt is ours. */
  endIf(attempt: AttemptRef, reason: EndReason): Promise<EndIfOutcome>;
  /** Deletes both records and publishes `ended`. True when there was a token record. */
  end(h: string, reason: EndReason): Promise<boolean>;
  /** Activity: both records live for min(idle, rest of absolute) again. A missing record stays missing. Publishes nothing. */
  slide(h: string): Promise<void>;

  /** express-session's record, by h; written at login only. */
  readSession(h: string): Promise<string | null>;
  writeSession(h: string, json: string, ttlSeconds: number): Promise<void>;
  deleteSession(h: string): Promise<void>;

  /** Once only: true for the first claimant of `key`, and for the same `claimant` again. `key` names its kind and a hash, such as `tx:<id>`. */
  claimOnce(key: string, claimant: string, ttlSeconds: number): Promise<boolean>;

  /** Puts a session under a key of the index until its absolute end, `absoluteMs` from now. A key lives as long as the last session under it. */
  indexAdd(key: string, h: string, absoluteMs: number): Promise<void>;
  /** The sessions under a key whose absolute end has not come, in the order of these ends. Some may have ended all the same. */
  indexFind(key: string): Promise<string[]>;
  indexRemove(key: string, h: string): Promise<void>;

  /** Notes an instant, epoch ms on whatever clock the caller means; of several the latest stays. */
  mark(key: string, at: number, ttlSeconds: number): Promise<void>;
  /** The latest instant noted under `key`; null when there is none. */
  marked(key: string): Promise<number | null>;

  /** A sealed logout ticket, taken at most once. */
  putLogoutTicket(key: string, sealed: string, ttlSeconds: number): Promise<void>;
  takeLogoutTicket(key: string): Promise<string | null>;

  /** After a failover: writes a record that this process has committed over an older revision of it. A record that is gone stays gone. Publishes `refreshed`. */
  restore(h: string, record: TokenRecord): Promise<void>;

  /** Tells `listener` of every message of every process, in no promised order. Returns how to stop. */
  subscribe(listener: StoreListener): () => void;
  /** Whether messages are known to arrive: only then does it mean anything that none came. */
  listening(): boolean;
  /** One round trip; throws StoreUnavailable when the store does not answer. */
  ping(): Promise<void>;
  /** False in the first 2 s after a reconnect, when nothing may be begun or taken over. */
  settled(): boolean;
  close(): Promise<void>;
}

/** The store did not answer, or refused: nothing is known about the session. Callers answer 503, never "signed out". */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';

  constructor(cause: unknown) {
    super('The session store did not answer', { cause });
  }
}
