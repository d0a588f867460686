import { expect, test } from '@jest/globals';
import { countTests } from '../../../scripts/count-tests.js';

const report = { numPassedTests: 12, numFailedTests: 0, numRuntimeErrorTestSuites: 0 };

test('a run in which everything passed has no failures', () => {
  expect(countTests(report, 0, 0)).toEqual({ passed: 12, failed: 0 });
});

test('a file that cannot be loaded is a failure, though none of its tests failed', () => {
  expect(countTests({ ...report, numRuntimeErrorTestSuites: 1 }, 1, 0)).toEqual({ passed: 12, failed: 1 });
});

test('checks that fail are a failure, though all tests passed', () => {
  expect(countTests(report, 0, 1)).toEqual({ passed: 12, failed: 1 });
});

test('a test command that failed without a failed test is a failure', () => {
  expect(countTests(report, 1, 0)).toEqual({ passed: 12, failed: 1 });
  expect(countTests(report, 124, 0)).toEqual({ passed: 12, failed: 1 });
});

test('a run in which nothing ran is a failure', () => {
  expect(countTests(undefined, 0, 0)).toEqual({ passed: 0, failed: 1 });
  expect(countTests({ ...report, numPassedTests: 0 }, 0, 0)).toEqual({ passed: 0, failed: 1 });
});
