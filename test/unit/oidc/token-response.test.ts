import { describe, expect, test } from '@jest/globals';
import { retryAfterMs } from '../../../src/oidc/token-endpoint.ts';
import {
  expiresInMs,
  mergeClaims,
  narrowedScope,
  refreshExpiresInMs,
  refreshedClaims,
} from '../../../src/oidc/token-response.ts';

const response = (members: object) => ({ access_token: 'at', token_type: 'bearer', ...members }) as const;
const who = { iss: 'https://id.example.test', sub: 'alice' };

describe('lifetimes', () => {
  test('the time the answer took is gone from the access token’s lifetime, and a second for rounded instants', () => {
    expect(expiresInMs(response({ expires_in: 60 }), 12_000)).toBe(47_000);
  });

  test('they are never negative, and a clock that went back does not lengthen them', () => {
    expect(expiresInMs(response({ expires_in: 5 }), 12_000)).toBe(0);
    expect(expiresInMs(response({ expires_in: 5 }), -3_600_000)).toBe(4_000);
  });

  test.each([[undefined], [0], [-1], ['1800'], [Number.NaN]])('refresh_expires_in %p tells nothing', (value) => {
    expect(refreshExpiresInMs(response({ refresh_expires_in: value }))).toBeUndefined();
  });
});

describe('scope (OA-16, OA-17)', () => {
  test.each([
    ['openid email', undefined, 'openid email'],
    ['openid email', 'openid', 'openid'],
    ['openid email', 'openid admin', 'openid'],
    ['openid', 'openid email', 'openid'],
    ['openid', '', ''],
  ])('%p then %p is %p', (before, after, expected) => {
    expect(narrowedScope(before, after)).toBe(expected);
  });
});

describe('claims', () => {
  test('what the ID token signs wins over userinfo', () => {
    expect(mergeClaims({ ...who, acr: '1' }, { acr: '9', sub: 'mallory', name: 'Alice' })).toEqual({
      ...who,
      acr: '1',
      name: 'Alice',
    });
  });

  test('after a refresh userinfo’s stay, the old ID token’s do not (FL-15)', () => {
    const before = { ...who, groups: ['admin'], name: 'Alice' };
    expect(refreshedClaims(before, { ...who, groups: ['admin'] }, { ...who, roles: [] })).toEqual({
      ...who,
      roles: [],
      name: 'Alice',
    });
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-11-20T12:00:00Z');

  test.each([
    ['7', 7_000],
    ['0', 0],
    ['Fri, 20 Nov 2026 12:00:30 GMT', 30_000],
    ['Fri, 20 Nov 2026 11:00:00 GMT', undefined],
    ['soon', undefined],
    ['-1', undefined],
    [null, undefined],
  ])('%p is %p ms', (value, expected) => {
    expect(retryAfterMs(value, now)).toBe(expected);
  });
});
