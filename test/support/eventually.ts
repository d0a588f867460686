// Waiting for a condition instead of for a time.

/** Asks again and again until `check` is true, and fails after `withinMs`. `pause` is how time goes by between two questions. */
export async function eventually(
  check: () => boolean | Promise<boolean>,
  { withinMs = 5_000, pause = pauseOf(5) }: { withinMs?: number; pause?: () => Promise<void> } = {},
): Promise<void> {
  const giveUpAt = performance.now() + withinMs;
  while (!(await check())) {
    if (performance.now() > giveUpAt) throw new Error(`not so within ${withinMs} ms: ${check.toString()}`);
    await pause();
  }
}

function pauseOf(ms: number): () => Promise<void> {
  return () => new Promise((resolve) => setTimeout(resolve, ms));
}
