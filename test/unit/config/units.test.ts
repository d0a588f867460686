import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatDuration, formatSize, parseDurationSeconds, parseSizeBytes } from '../../../src/config/units.ts';

test.each([
  ['500ms', 0.5],
  ['30s', 30],
  ['10m', 600],
  ['12h', 43_200],
  ['7d', 604_800],
])('%s is %d seconds, and back', (text, seconds) => {
  expect(parseDurationSeconds(text)).toBe(seconds);
  expect(formatDuration(seconds)).toBe(text);
});

test.each([
  ['100b', 100],
  ['64kb', 65_536],
  ['10mb', 10_485_760],
])('%s is %d bytes, and back', (text, bytes) => {
  expect(parseSizeBytes(text)).toBe(bytes);
  expect(formatSize(bytes)).toBe(text);
});

test('what is written for any span or size is read as the same', () => {
  const milliseconds = fc.integer({ min: 1, max: 400 * 86_400_000 });
  fc.assert(
    fc.property(
      milliseconds,
      (ms) =>
        parseDurationSeconds(formatDuration(ms / 1000)) === ms / 1000 ||
        Math.round(parseDurationSeconds(formatDuration(ms / 1000)) * 1000) === ms,
    ),
  );
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (bytes) => parseSizeBytes(formatSize(bytes)) === bytes));
});
