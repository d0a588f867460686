// How a process that serves comes to its end.

/** How long requests and refreshes under way may take once the process was told to end. */
export const graceMs = 30_000;

/** Waits until a signal aborts, if it has not yet. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  signal.addEventListener('abort', () => resolve(undefined), { once: true });
  await promise;
}
