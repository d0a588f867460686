export function countTests(
  report: { numPassedTests: number; numFailedTests: number; numRuntimeErrorTestSuites: number } | undefined,
  testsExitCode: number,
  checksExitCode: number,
): { passed: number; failed: number };
