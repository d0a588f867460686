import { expect, test } from '@jest/globals';
import { describeFailure, errorCode } from '../../../src/oidc/failure.ts';
import { CallFailure } from '../../../src/oidc/http.ts';

test.each([
  ['invalid_grant', 'invalid_grant'],
  ['AADSTS50076', 'AADSTS50076'],
  ['<script>alert(1)</script>', 'unknown_error'],
  ['two words', 'unknown_error'],
  ['x'.repeat(65), 'unknown_error'],
  ['', 'unknown_error'],
])('the error code %p is told as %p', (given, told) => {
  expect(errorCode(given)).toBe(told);
});

test('an error that nobody foresaw is told by its name alone: its message may hold a token', () => {
  const failure = describeFailure(new SyntaxError('Unexpected token in "secret"'));
  expect(failure).toMatchObject({ name: 'ProviderFailure', code: 'SyntaxError' });
  expect(failure.cause).toBeUndefined();
  expect(failure.message).not.toContain('secret');
});

test('a network failure is found however deep a library has wrapped it', () => {
  const wrapped = new Error('something went wrong', {
    cause: new Error('again', { cause: new CallFailure('ECONNREFUSED', { sent: false, answered: false }) }),
  });
  expect(describeFailure(wrapped).code).toBe('ECONNREFUSED');
});
