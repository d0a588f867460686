// How much of a container's memory each worker may take for its heap.
import { expect, test } from '@jest/globals';
import { workerHeapPercentage } from '../../../src/cli/worker-heap.ts';

const mb = 2 ** 20;
const gb = 2 ** 30;

test.each([
  [
    'the image in 512 MB, two workers: a quarter each',
    { workers: 2, heapBytes: 256 * mb, availableBytes: 512 * mb },
    25,
  ],
  ['the image in 4 GB, eight workers', { workers: 8, heapBytes: 2 * gb, availableBytes: 4 * gb }, 6.25],
  [
    'a heap that was widened to three quarters stays three quarters for all',
    { workers: 3, heapBytes: 768 * mb, availableBytes: gb },
    25,
  ],
  [
    'a number that does not come out even is rounded down',
    { workers: 3, heapBytes: 256 * mb, availableBytes: 512 * mb },
    16.66,
  ],
  [
    'Node’s own choice on a machine of 64 GB is small enough for eight',
    { workers: 8, heapBytes: 4 * gb, availableBytes: 64 * gb },
    undefined,
  ],
  ['and not for sixteen', { workers: 16, heapBytes: 4 * gb, availableBytes: 64 * gb }, 3.12],
  [
    'Node’s own choice in 256 MB is more than there is: three quarters for both',
    { workers: 2, heapBytes: 259 * mb, availableBytes: 256 * mb },
    37.5,
  ],
  [
    'a share that somebody has worked out already is left alone',
    { workers: 2, heapBytes: 100 * mb, availableBytes: 512 * mb },
    undefined,
  ],
])('%s', (_what, memory, percentage) => {
  expect(workerHeapPercentage(memory)).toBe(percentage);
});
