// What a handful of noisy samples says: medians, and an interval around them that assumes nothing about the noise.

export interface Estimate {
  median: number;
  /** With at least 95 % confidence the true median is between these two; with fewer than six samples they are the extremes. */
  low: number;
  high: number;
}

export function median(samples: readonly number[]): number {
  const sorted = ascending(samples);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
}

/** At least one sample. The interval is the order statistics' (the sign test turned round): machine noise has a long tail, and a mean would follow it. */
export function estimate(samples: readonly number[]): Estimate {
  const sorted = ascending(samples);
  const left = samplesOutside(sorted.length);
  return { median: median(sorted), low: sorted[left]!, high: sorted[sorted.length - 1 - left]! };
}

/** How many samples can be left out at each end before both ends together miss the median more often than once in twenty. */
function samplesOutside(count: number): number {
  let outside = -1;
  let combinations = 1;
  let tail = 0.5 ** count;
  while (2 * tail <= 0.05) {
    outside += 1;
    combinations *= (count - outside) / (outside + 1);
    tail += combinations * 0.5 ** count;
  }
  return Math.max(0, outside);
}

function ascending(samples: readonly number[]): number[] {
  return samples.toSorted((a, b) => a - b);
}
