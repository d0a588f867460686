// When a session that somebody listens to ends by time. Its record says when, and the store is asked again before anything is said:
// activity on another replica moves the end and announces nothing.
import type { LoadedRecord, Store } from '../store/store.ts';

/** Which time ran out. `unknown`: the record is gone before either could, and no message said why. */
export type Lapse = 'idle' | 'absolute' | 'unknown';

/** The session is about to end by itself. */
export interface ExpiryNotice {
  reason: 'idle' | 'absolute';
  endsInMs: number;
}

export interface SessionWatch {
  /** What listeners should be told now: undefined as long as the end is not near. */
  imminent(): ExpiryNotice | undefined;
  /** Asks the store now: messages may have been missed. */
  look(): void;
  stop(): void;
}

export interface SessionWatchOptions {
  h: string;
  store: Pick<Store, 'load' | 'listening'>;
  /** Epoch ms. */
  now: () => number;
  /** In [0, 1): spreads the questions of many watches. */
  random: () => number;
  /** Called once for each end that comes near; activity makes a new one. */
  onExpiring(notice: ExpiryNotice): void;
  /** Called once; the watch has stopped then. */
  onLapse(reason: Lapse): void;
}

/** The notice before the end, at most; a fifth of an idle time that is shorter than five minutes. */
const noticeMs = 60_000;
/** Two ends closer together than this are one. */
const sameEndMs = 1_000;
/** After the known end, so that the store has it behind itself too. */
const marginMs = 20;
/** Between questions while the store is away, or while messages are not known to arrive. */
const askAgainMs = 2_000;
/** setTimeout takes no more than 24 days. */
const longestSleepMs = 86_400_000;

/** Begins with a question to the store, so that an end just before it is not missed. */
export function watchSession(options: SessionWatchOptions): SessionWatch {
  const { h, store, now } = options;
  let known: { endsAt: number; absoluteEndsAt: number } | undefined;
  let isNear = false;
  let timer: NodeJS.Timeout | undefined;
  // Only the answer to the last question counts, and none after the end.
  let question = 0;

  function look(): void {
    clearTimeout(timer);
    question += 1;
    const asked = question;
    store.load(h).then(
      (record) => {
        if (asked === question) judge(record);
      },
      () => {
        if (asked === question) goOnWithoutAnswer();
      },
    );
  }

  function lookIn(ms: number): void {
    timer = setTimeout(look, Math.min(ms, longestSleepMs));
  }

  function stop(): void {
    clearTimeout(timer);
    question += 1;
  }

  function lapse(reason: Lapse): void {
    stop();
    options.onLapse(reason);
  }

  function judge(record: LoadedRecord | 'unreadable' | null): void {
    if (record === null) lapse(lapseOf(known, now()));
    else if (record === 'unreadable') goOnWithoutAnswer();
    else goOn(record);
  }

  function goOn(record: LoadedRecord): void {
    const absoluteInMs = record.absoluteExpiresAt - record.now;
    const endsInMs = Math.max(0, Math.min(record.ttlMs, record.endsAt - record.now));
    known = { endsAt: now() + endsInMs, absoluteEndsAt: now() + absoluteInMs };
    const noticeInMs = endsInMs - Math.min(noticeMs, record.idleMs / 5);
    const wasNear = isNear;
    isNear = noticeInMs <= 0;
    const sleepMs = isNear ? endsInMs + marginMs : noticeInMs;
    lookIn(store.listening() ? sleepMs : Math.min(sleepMs, spread(askAgainMs)));
    const notice = imminent();
    if (notice !== undefined && !wasNear) options.onExpiring(notice);
  }

  // An outage is not a logout; but the absolute end comes without the store, since nothing moves it.
  function goOnWithoutAnswer(): void {
    if (known !== undefined && now() >= known.absoluteEndsAt) lapse('absolute');
    else lookIn(spread(askAgainMs));
  }

  function imminent(): ExpiryNotice | undefined {
    if (known === undefined || !isNear) return undefined;
    const reason = known.absoluteEndsAt - known.endsAt < sameEndMs ? 'absolute' : 'idle';
    return { reason, endsInMs: Math.max(0, known.endsAt - now()) };
  }

  function spread(ms: number): number {
    return ms * (0.75 + options.random() / 2);
  }

  look();
  return { imminent, look, stop };
}

function lapseOf(known: { endsAt: number; absoluteEndsAt: number } | undefined, now: number): Lapse {
  if (known === undefined) return 'unknown';
  if (now >= known.absoluteEndsAt - sameEndMs) return 'absolute';
  return now >= known.endsAt ? 'idle' : 'unknown';
}
