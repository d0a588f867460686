import { expect, test } from '@jest/globals';
import { isInstalled, isSupported } from '../../../scripts/dependencies.js';

const packages = {
  'node_modules/express': { version: '5.3.0', integrity: 'sha512-a' },
  'node_modules/for-another-platform': { version: '1.0.0', integrity: 'sha512-b', optional: true },
};
// The lock file also describes the clone itself, which is not among its own node_modules.
const lock = { '': { version: '0.1.0' }, ...packages };

test('a clone in which everything is installed is not installed again', () => {
  expect(isInstalled(lock, packages)).toBe(true);
});

test('packages for other platforms need not be there', () => {
  expect(isInstalled(lock, { 'node_modules/express': packages['node_modules/express'] })).toBe(true);
});

test.each([
  ['a package is missing', {}],
  ['it has another version', { 'node_modules/express': { version: '5.2.0', integrity: 'sha512-a' } }],
  ['it has other content', { 'node_modules/express': { version: '5.3.0', integrity: 'sha512-c' } }],
])('dependencies are installed when %s', (_when, installed) => {
  expect(isInstalled(lock, installed)).toBe(false);
});

test.each([
  ['20.20.2', false],
  ['22.23.2', false],
  ['23.11.0', false],
  ['24.18.0', false],
  ['24.18.1', true],
  ['26.5.0', false],
  ['26.5.1', true],
  ['27.0.0', true],
])('whether Node %s can run Postern is what package.json says: %s', (version, expected) => {
  expect(isSupported(version)).toBe(expected);
});
