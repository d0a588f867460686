// The register of open streams: whoever stays connected on the strength of a session stands here under its `h`, hears what happens to it,
// and is closed when it ends, on whichever replica that was (OWASP ASVS 5.0 7.4.1).
import { PosternError } from '../errors.ts';
import type { EndReason, Store, StoreMessage } from '../store/store.ts';
import { watchSession } from './session-watch.ts';
import type { ExpiryNotice, Lapse, SessionWatch } from './session-watch.ts';

/** What a stream is: of each kind there may be so many. */
export type StreamKind = 'events' | 'websocket';

/** Why a stream is closed. `draining`: this process stops; the session lives on. */
export type CloseReason = EndReason | Lapse | 'draining';

/** What a stream hears while its session lives. */
export type SessionNews = { what: 'refreshed' } | ({ what: 'expiring' } & ExpiryNotice);

/** Something that stays open as long as its session lives. Neither function may throw. */
export interface SessionStream {
  readonly kind: StreamKind;
  tell(news: SessionNews): void;
  /** Called at most once, and not after it has left. */
  close(reason: CloseReason): void;
}

export type StreamOpening =
  /** `leave` takes the stream out again; it may be called twice, and after the end. */
  | { kind: 'open'; leave: () => void }
  /** `session`: this session has as many of this kind as it may. `process`: so has this process, or it is draining. */
  | { kind: 'full'; of: 'session' | 'process' };

const retryAfterSeconds = 5;

/** What is answered in place of a stream that there is no room for: `rate_limited` or `overloaded`. */
export function noRoom({ of }: Extract<StreamOpening, { kind: 'full' }>): PosternError {
  return new PosternError(of === 'session' ? 'rate_limited' : 'overloaded', { retryAfterSeconds });
}

export interface Streams {
  /**
   * The caller has just found the session alive; the store is asked once more, because it may have ended since.
   * `h` is undefined for a stream that needs no session: it hears of nothing but the end of this process.
   */
  open(h: string | undefined, stream: SessionStream): StreamOpening;
  /** Hears every message of the store. */
  notice(message: StoreMessage): void;
  /** Messages may have been missed: the store is asked about every session with streams. */
  silence(): void;
  endAll(h: string, reason: CloseReason): void;
  /** Closes every stream, and takes no more. */
  drain(): void;
}

export interface StreamLimits {
  perSession: number;
  perProcess: number;
}

export interface StreamsOptions {
  store: Pick<Store, 'load' | 'listening'>;
  limits: () => Record<StreamKind, StreamLimits>;
  /** Epoch ms. */
  now: () => number;
  random: () => number;
}

interface Entry {
  streams: Set<SessionStream>;
  /** Undefined for the streams without a session. */
  watch: SessionWatch | undefined;
}

/** The register of one process. */
export function createStreams({ store, limits, now, random }: StreamsOptions): Streams {
  const entries = new Map<string | undefined, Entry>();
  const openInAll: Record<StreamKind, number> = { events: 0, websocket: 0 };
  let draining = false;

  function entryOf(h: string | undefined): Entry {
    const existing = entries.get(h);
    if (existing !== undefined) return existing;
    const entry = { streams: new Set<SessionStream>(), watch: h === undefined ? undefined : watch(h) };
    entries.set(h, entry);
    return entry;
  }

  function watch(h: string): SessionWatch {
    return watchSession({
      h,
      store,
      now,
      random,
      onExpiring: (notice) => tellAll(h, { what: 'expiring', ...notice }),
      onLapse: (reason) => endAll(h, reason),
    });
  }

  function isFull(h: string | undefined, kind: StreamKind): 'session' | 'process' | false {
    const { perSession, perProcess } = limits()[kind];
    if (draining || openInAll[kind] >= perProcess) return 'process';
    if (h === undefined) return false;
    let open = 0;
    for (const stream of entries.get(h)?.streams ?? []) if (stream.kind === kind) open += 1;
    return open >= perSession && 'session';
  }

  function tellAll(h: string, news: SessionNews): void {
    for (const stream of entries.get(h)?.streams ?? []) stream.tell(news);
  }

  function endAll(h: string | undefined, reason: CloseReason): void {
    const entry = entries.get(h);
    if (entry === undefined) return;
    entries.delete(h);
    entry.watch?.stop();
    for (const { kind } of entry.streams) openInAll[kind] -= 1;
    const closing = [...entry.streams];
    // Whoever leaves on being closed must find itself gone already, or it would be counted twice.
    entry.streams.clear();
    for (const stream of closing) stream.close(reason);
  }

  function leave(h: string | undefined, entry: Entry, stream: SessionStream): void {
    if (!entry.streams.delete(stream)) return;
    openInAll[stream.kind] -= 1;
    if (entry.streams.size > 0) return;
    entry.watch?.stop();
    entries.delete(h);
  }

  return {
    open(h, stream) {
      const full = isFull(h, stream.kind);
      if (full !== false) return { kind: 'full', of: full };
      const entry = entryOf(h);
      entry.streams.add(stream);
      openInAll[stream.kind] += 1;
      const notice = entry.watch?.imminent();
      if (notice !== undefined) stream.tell({ what: 'expiring', ...notice });
      return { kind: 'open', leave: () => leave(h, entry, stream) };
    },

    notice(message) {
      switch (message.what) {
        case 'refreshed':
          tellAll(message.h, { what: 'refreshed' });
          return;
        case 'ended':
          endAll(message.h, message.reason);
          return;
        case 'failed':
          return;
      }
    },

    silence() {
      for (const { watch } of entries.values()) watch?.look();
    },

    endAll,

    drain() {
      draining = true;
      for (const h of [...entries.keys()]) endAll(h, 'draining');
    },
  };
}
