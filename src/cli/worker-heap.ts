// How large a worker's heap may get. Node gives every process the heap that suits one alone in its container, and all workers share one container.

export interface Memory {
  workers: number;
  /** The heap that Node allows this process. */
  heapBytes: number;
  /** What the container may use, or what the machine has. */
  availableBytes: number;
}

/**
 * The heap of each worker in percent of the memory available; undefined where Node's own choice is small enough. Together the heaps get half of the memory,
 * or what one process would have where that is more, three quarters at most: the rest is for what Node keeps outside them.
 */
export function workerHeapPercentage({ workers, heapBytes, availableBytes }: Memory): number | undefined {
  const togetherBytes = Math.max(availableBytes / 2, Math.min(heapBytes, (availableBytes * 3) / 4));
  const shareBytes = togetherBytes / workers;
  if (heapBytes <= shareBytes) return undefined;
  return Math.floor((shareBytes / availableBytes) * 10_000) / 100;
}
