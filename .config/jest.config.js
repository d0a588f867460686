// Native ES modules; TypeScript is stripped by Node itself (test/support/strip-types.js), so what the tests run is what ships.
export default {
  rootDir: '..',
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // test/helm needs a helm, test/keycloak a Keycloak: npm run test:helm, npm run test:keycloak.
  testPathIgnorePatterns: [
    '/node_modules/',
    '<rootDir>/test/bench/',
    '<rootDir>/test/helm/',
    '<rootDir>/test/keycloak/',
  ],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/test/support/strip-types.js' },
  randomize: true,
  // Tests that wait for tokens to expire wait together.
  maxConcurrency: 20,
  // Most of the time is spent waiting, not computing.
  maxWorkers: 3,
  // For what hangs, not for what is slow: until() gives up earlier, and says what it waited for.
  testTimeout: 120_000,
};
