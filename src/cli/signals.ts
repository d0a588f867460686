// What a process that serves is told from outside: to end, or to read its configuration again.
import type { Config } from '../config/schema.ts';

export interface Signals {
  /** Aborts with the reason why it is to end: the name of the signal. */
  stop: AbortSignal;
  /** Calls whenever the configuration is to be read again. */
  onReload: (reload: () => void) => void;
}

/** Waits until a signal aborts, if it has not yet. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  signal.addEventListener('abort', () => resolve(undefined), { once: true });
  await promise;
}

/** How a process ends. The delay is for those in front to notice: where a person at a terminal says SIGINT, or the first process is gone, there is nobody. */
export function endingOf(
  stop: AbortSignal,
  { shutdown }: Pick<Config, 'shutdown'>,
): { delayMs: number; graceMs: number } {
  return { delayMs: stop.reason === 'SIGTERM' ? shutdown.delay * 1000 : 0, graceMs: shutdown.grace * 1000 };
}
