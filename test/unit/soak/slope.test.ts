import { expect, test } from '@jest/globals';
import { slope } from '../../soak/slope.ts';

test('what grows by two a minute has a slope of two, wherever it began', () => {
  expect(slope([0, 1, 2, 3].map((minute) => [minute, 100 + 2 * minute]))).toBeCloseTo(2);
});

test('what goes up and down round the same value has none', () => {
  expect(slope([50, 54, 46, 46, 54, 50].map((value, minute) => [minute, value]))).toBeCloseTo(0);
});

test('one sample says nothing about growth', () => {
  expect(slope([[1, 50]])).toBeNaN();
});
