// Ends a run of .ci/run: turns jest's JSON reports and exit codes into one line, "N passed, N failed", and one exit code.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/**
 * @param report what `jest --json` wrote, or undefined when it wrote nothing
 * @param exitCode of the test command; a failure that no test accounts for counts as one
 * @param mayBeEmpty whether the command may end well without running anything
 */
export function countTests(report, exitCode, mayBeEmpty = false) {
  const passed = report?.numPassedTests ?? 0;
  // A file that cannot even be loaded has no tests of its own to fail.
  const failedTests = (report?.numFailedTests ?? 0) + (report?.numRuntimeErrorTestSuites ?? 0);
  const isUnexplained = failedTests === 0 && (exitCode !== 0 || (passed === 0 && !mayBeEmpty));
  return { passed, failed: failedTests + (isUnexplained ? 1 : 0) };
}

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [results, testsExitCode, chartResults, chartExitCode, checksExitCode] = process.argv.slice(2);
  const tests = countTests(read(results), Number(testsExitCode));
  // Without Go there is no helm: the job says so, and ends well.
  const chart = countTests(read(chartResults), Number(chartExitCode), true);
  const failedChecks = Number(checksExitCode) === 0 ? 0 : 1;
  if (failedChecks > 0) console.log('the checks (types, lint, format) failed: see above');
  const failed = tests.failed + chart.failed + failedChecks;
  console.log(`${tests.passed + chart.passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
