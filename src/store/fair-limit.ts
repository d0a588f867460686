// A limit to waiting that is fair to an answer which is already there: a process that stood still (throttled, stopped, moved to another machine) wakes
// with its timers long due and its sockets unread, and must not take that for an outage of the store.

/** What `answer` gives; rejects when it takes longer than `ms`, but not before what has arrived by then has been read. */
export async function withinLimit<T>(ms: number, answer: Promise<T>): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  // What is asked leaves at the end of this turn of the event loop, which is a long one where a crowd has come.
  const turn = setImmediate(() => {
    // Immediates run after the sockets have been looked at once more.
    timer = setTimeout(() => setImmediate(reject, new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([answer, over]);
  } finally {
    clearImmediate(turn);
    clearTimeout(timer);
  }
}
