import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { countTests } from '../../../scripts/count-tests.js';

const script = join(import.meta.dirname, '../../../scripts/count-tests.js');
const report = { numPassedTests: 12, numFailedTests: 0, numRuntimeErrorTestSuites: 0 };

test('a run in which everything passed has no failures', () => {
  expect(countTests(report, 0)).toEqual({ passed: 12, failed: 0 });
});

test('a file that cannot be loaded is a failure, though none of its tests failed', () => {
  expect(countTests({ ...report, numRuntimeErrorTestSuites: 1 }, 1)).toEqual({ passed: 12, failed: 1 });
});

test('a test command that failed without a failed test is a failure', () => {
  expect(countTests(report, 1)).toEqual({ passed: 12, failed: 1 });
  expect(countTests(report, 124)).toEqual({ passed: 12, failed: 1 });
});

test('a run in which nothing ran is a failure', () => {
  expect(countTests(undefined, 0)).toEqual({ passed: 0, failed: 1 });
  expect(countTests({ ...report, numPassedTests: 0 }, 0)).toEqual({ passed: 0, failed: 1 });
});

test('a run that may be empty is none, unless it ended badly', () => {
  expect(countTests(undefined, 0, true)).toEqual({ passed: 0, failed: 0 });
  expect(countTests(undefined, 1, true)).toEqual({ passed: 0, failed: 1 });
});

test('the count that CI reads is the sum of all suites, and a failed check fails it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-count-'));
  const write = (name: string, content: object): string => {
    writeFileSync(join(folder, name), JSON.stringify(content));
    return join(folder, name);
  };
  const suites = [write('tests.json', report), '0', write('chart.json', { ...report, numPassedTests: 30 }), '0'];
  const count = (...args: string[]) => spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  expect(count(...suites, '0')).toMatchObject({ status: 0, stdout: '42 passed, 0 failed\n' });
  expect(count(...suites, '1').status).toBe(1);
  expect(count(...suites, '1').stdout).toMatch(/\n42 passed, 1 failed\n$/);
  rmSync(folder, { recursive: true });
});
