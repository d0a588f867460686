export function countTests(
  report: { numPassedTests: number; numFailedTests: number; numRuntimeErrorTestSuites: number } | undefined,
  exitCode: number,
  mayBeEmpty?: boolean,
): { passed: number; failed: number };
