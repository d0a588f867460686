// Waiting for what a test cannot bring about by itself: looks again until the condition holds, and fails loudly when it never does.
import { setTimeout as pauseMs } from 'node:timers/promises';

/** Gives up when a machine as slow as that is none that we know. Looks every 10 ms; `pause` is how time goes by between two looks where the clock is the test's own. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  atMostMs = 60_000,
  pause: () => Promise<void> = () => pauseMs(10),
): Promise<void> {
  const end = performance.now() + atMostMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`This was not so within ${atMostMs} ms: ${condition.toString()}`);
    await pause();
  }
}
