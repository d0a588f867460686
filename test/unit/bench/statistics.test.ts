import { expect, test } from '@jest/globals';
import { estimate, median } from '../../bench/statistics.ts';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

test('the median is the middle sample, or half-way between the two in the middle', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([9, 1, 5, 2])).toBe(3.5);
});

// Ranks from the tables of the sign test at 5 %, two-sided.
test.each([
  { samples: 5, low: 1, high: 5 },
  { samples: 6, low: 1, high: 6 },
  { samples: 9, low: 2, high: 8 },
  { samples: 12, low: 3, high: 10 },
  { samples: 20, low: 6, high: 15 },
])(
  'the interval of $samples samples runs from the sample of rank $low to that of rank $high',
  ({ samples, low, high }) => {
    expect(estimate(upTo(samples).toReversed())).toEqual({ median: (samples + 1) / 2, low, high });
  },
);

test('one slice that the machine disturbed moves neither the median nor the interval of a dozen', () => {
  const quiet = upTo(12);
  expect(estimate([...quiet.slice(0, 11), 10_000])).toEqual(estimate(quiet));
});
