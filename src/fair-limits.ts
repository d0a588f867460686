// Limits to waiting that are fair to an answer which is already there. A process that stood still (throttled, stopped, moved to another machine) wakes with
// its timers long due and its sockets unread: that is no outage of anybody's, and the answer may hold a refresh token that exists nowhere else.

/** Calls `over` after `ms`, but not before what has arrived by then has been read; gives what calls it off. */
function whenOver(ms: number, over: () => void): NodeJS.Timeout {
  // Immediates run after the sockets have been looked at once more.
  return setTimeout(() => setImmediate(over), ms);
}

/** Aborts after `ms`, as `AbortSignal.timeout` does. */
export function timeLimit(ms: number): AbortSignal {
  const limit = new AbortController();
  whenOver(ms, () => limit.abort(new DOMException('The time limit was reached', 'TimeoutError'))).unref();
  return limit.signal;
}

/** What `answer` gives; rejects when it takes longer than `ms` from the end of this turn of the event loop. */
export async function withinLimit<T>(ms: number, answer: Promise<T>): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  // What is asked leaves when the turn ends, which is a long one where a crowd has come.
  const turn = setImmediate(() => {
    timer = whenOver(ms, () => reject(new Error(`no answer within ${ms} ms`)));
  });
  try {
    return await Promise.race([answer, over]);
  } finally {
    clearImmediate(turn);
    clearTimeout(timer);
  }
}
