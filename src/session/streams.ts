// The register of open streams: whoever stays connected on the strength of a session stands here under its `h`, hears what happens to it,
// and is closed when it ends, on whichever replica that was (OWASP ASVS 5.0 7.4.1).
import type { EndReason, Store, StoreMessage } from '../store/store.ts';
import { watchSession } from './session-watch.ts';
import type { ExpiryNotice, Lapse, SessionWatch } from './session-watch.ts';

/** Why a stream is closed. `draining`: this process stops; the session lives on. */
export type CloseReason = EndReason | Lapse | 'draining';

/** What a stream hears while its session lives. */
export type SessionNews = { what: 'refreshed' } | ({ what: 'expiring' } & ExpiryNotice);

/** Something that stays open as long as its session lives. Neither function may throw. */
export interface SessionStream {
  tell(news: SessionNews): void;
  /** Called at most once, and not after it has left. */
  close(reason: CloseReason): void;
}

export type StreamOpening =
  /** `leave` takes the stream out again; it may be called twice, and after the end. */
  | { kind: 'open'; leave: () => void }
  /** `session`: this session has as many as it may. `process`: so has this process, or it is draining. */
  | { kind: 'full'; of: 'session' | 'process' };

export interface Streams {
  /** The caller has just found the session alive; the store is asked once more, because it may have ended since. */
  open(h: string, stream: SessionStream): StreamOpening;
  /** Hears every message of the store. */
  notice(message: StoreMessage): void;
  /** Messages may have been missed: the store is asked about every session with streams. */
  silence(): void;
  endAll(h: string, reason: CloseReason): void;
  /** Closes every stream, and takes no more. */
  drain(): void;
}

export interface StreamsOptions {
  store: Pick<Store, 'load' | 'listening'>;
  limits: { perSession: number; perProcess: number };
  /** Epoch ms. */
  now: () => number;
  random: () => number;
}

interface Entry {
  streams: Set<SessionStream>;
  watch: SessionWatch;
}

export function createStreams({ store, limits, now, random }: StreamsOptions): Streams {
  const entries = new Map<string, Entry>();
  let openInAll = 0;
  let draining = false;

  function entryOf(h: string): Entry {
    const existing = entries.get(h);
    if (existing !== undefined) return existing;
    const watch = watchSession({
      h,
      store,
      now,
      random,
      onExpiring: (notice) => tellAll(h, { what: 'expiring', ...notice }),
      onLapse: (reason) => endAll(h, reason),
    });
    const entry = { streams: new Set<SessionStream>(), watch };
    entries.set(h, entry);
    return entry;
  }

  function tellAll(h: string, news: SessionNews): void {
    for (const stream of entries.get(h)?.streams ?? []) stream.tell(news);
  }

  function endAll(h: string, reason: CloseReason): void {
    const entry = entries.get(h);
    if (entry === undefined) return;
    entries.delete(h);
    entry.watch.stop();
    openInAll -= entry.streams.size;
    const closing = [...entry.streams];
    // Whoever leaves on being closed must find itself gone already, or it would be counted twice.
    entry.streams.clear();
    for (const stream of closing) stream.close(reason);
  }

  function leave(h: string, entry: Entry, stream: SessionStream): void {
    if (!entry.streams.delete(stream)) return;
    openInAll -= 1;
    if (entry.streams.size > 0) return;
    entry.watch.stop();
    entries.delete(h);
  }

  return {
    open(h, stream) {
      if (draining || openInAll >= limits.perProcess) return { kind: 'full', of: 'process' };
      if ((entries.get(h)?.streams.size ?? 0) >= limits.perSession) return { kind: 'full', of: 'session' };
      const entry = entryOf(h);
      entry.streams.add(stream);
      openInAll += 1;
      const notice = entry.watch.imminent();
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
      for (const { watch } of entries.values()) watch.look();
    },

    endAll,

    drain() {
      draining = true;
      for (const h of [...entries.keys()]) endAll(h, 'draining');
    },
  };
}
