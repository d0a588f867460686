// A limit to waiting that is fair to an answer which is already there: a process that was stopped, or moved to another machine, wakes with its timers
// long due and its sockets unread. That answer may hold a refresh token that has been rotated and exists nowhere else.

/** Aborts after `ms`, as `AbortSignal.timeout` does, but not before what has arrived by then has been read. */
export function timeLimit(ms: number): AbortSignal {
  const limit = new AbortController();
  const abort = (): void => limit.abort(new DOMException('The time limit was reached', 'TimeoutError'));
  // Immediates run after the sockets have been looked at once more.
  setTimeout(() => setImmediate(abort), ms).unref();
  return limit.signal;
}
