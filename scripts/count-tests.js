// Ends a run of .ci/run: turns jest's JSON report and two exit codes into one line, "N passed, N failed", and one exit code.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/**
 * @param report what `jest --json` wrote, or undefined when it wrote nothing
 * @param testsExitCode of the test command; a failure that no test accounts for counts as one
 * @param checksExitCode of the checks, which count as one
 */
export function countTests(report, testsExitCode, checksExitCode) {
  const passed = report?.numPassedTests ?? 0;
  // A file that cannot even be loaded has no tests of its own to fail.
  const failedTests = (report?.numFailedTests ?? 0) + (report?.numRuntimeErrorTestSuites ?? 0);
  const unexplained = failedTests === 0 && (testsExitCode !== 0 || passed === 0) ? 1 : 0;
  const failedChecks = checksExitCode === 0 ? 0 : 1;
  return { passed, failed: failedTests + unexplained + failedChecks };
}

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [path, testsExitCode, checksExitCode] = process.argv.slice(2);
  const { passed, failed } = countTests(read(path), Number(testsExitCode), Number(checksExitCode));
  if (Number(checksExitCode) !== 0) console.log('the checks (types, lint, format) failed: see above');
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
