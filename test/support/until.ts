// Waiting for what a test cannot bring about by itself: looks again until the condition holds, and fails loudly when it never does.
import { setTimeout as pause } from 'node:timers/promises';

export async function until(condition: () => boolean | Promise<boolean>, atMostMs = 20_000): Promise<void> {
  const end = performance.now() + atMostMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`This never came true: ${condition.toString()}`);
    await pause(20);
  }
}
