// What a route makes of claims: who may use it, and what the upstream is told.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { claimAt, createClaimHeaders, createClaimRule } from '../../../src/proxy/claims.ts';

const identity = { iss: 'https://id.example.com', sub: 'alice' };

describe('a claim is found by its name, or by the way to it', () => {
  const claims = {
    ...identity,
    roles: ['user'],
    realm_access: { roles: ['admin'] },
    resource_access: { 'shop.web': { roles: ['editor'] } },
    'https://example.com/roles': ['namespaced'],
    'https://example.com/app': { roles: ['nested'] },
    'a.b': 'whole name',
    a: { b: 'way' },
    empty: null,
  };

  test.each([
    ['sub', 'alice'],
    ['roles', ['user']],
    ['realm_access.roles', ['admin']],
    ['resource_access.shop.web.roles', ['editor']],
    ['https://example.com/roles', ['namespaced']],
    ['https://example.com/app.roles', ['nested']],
    ['a.b', 'whole name'],
    ['a.c', undefined],
    ['nothing', undefined],
    ['roles.0', undefined],
    ['sub.length', undefined],
    ['empty.x', undefined],
    ['', undefined],
    ['.', undefined],
  ])('%s → %j', (path, expected) => {
    expect(claimAt(claims, path)).toEqual(expected);
  });

  test.each(['constructor', '__proto__', 'toString', 'realm_access.constructor', '__proto__.toString'])(
    'what every object has is no claim: %s',
    (path) => {
      expect(claimAt(claims, path)).toBeUndefined();
      expect(
        createClaimRule({ [path]: ['function Object() { [native code] }', '[object Object]'] })?.(identity),
      ).not.toBe(true);
    },
  );
});

describe('a route asks for claims', () => {
  const admins = createClaimRule({ roles: ['admin', 'owner'] })!;

  test('one of the values is enough, in a list or alone', () => {
    expect(admins({ ...identity, roles: ['user', 'owner'] })).toBe(true);
    expect(admins({ ...identity, roles: 'admin' })).toBe(true);
  });

  test.each([
    ['no claim', undefined],
    ['other values', ['user']],
    ['an empty list', []],
    ['part of a value', ['administrator', 'admin ', 'Admin']],
    ['a text of several words', 'user admin'],
    ['a section', { admin: true }],
    ['a list of lists', [['admin']]],
    ['nothing', null],
  ])('%s is not enough', (_what, roles) => {
    expect(admins({ ...identity, roles })).toBe(false);
  });

  test('each claim that is named must hold', () => {
    const rule = createClaimRule({ roles: ['admin'], email_verified: [true], level: [2] })!;
    const claims = { ...identity, roles: ['admin'], email_verified: true, level: 2 };
    expect(rule(claims)).toBe(true);
    expect(rule({ ...claims, email_verified: 'true', level: '2' })).toBe(true);
    expect(rule({ ...claims, email_verified: false })).toBe(false);
    expect(rule({ ...claims, level: 3 })).toBe(false);
  });

  test('a route that asks for nothing has no rule', () => {
    expect(createClaimRule({})).toBeUndefined();
  });
});

describe('claims travel in header fields', () => {
  function sent(claim: unknown): string | undefined {
    return createClaimHeaders({ 'X-Claim': 'claim' })!({ ...identity, claim })[0]?.[1];
  }

  test.each([
    ['alice', 'alice'],
    ['Doe, Jane', 'Doe, Jane'],
    [42, '42'],
    [false, 'false'],
    [['admin', 'user'], 'admin,user'],
    [['a,b', 'c'], 'a%2Cb,c'],
    ['Zoë', 'Zo%C3%AB'],
    ['100%', '100%25'],
    ['a\r\nX-Admin: 1', 'a%0D%0AX-Admin: 1'],
    ['\u0000\u010a', '%00%C4%8A'],
    [' padded ', '%20padded%20'],
    ['\ud800', '%EF%BF%BD'],
    ['', undefined],
    [[], undefined],
    [{ a: 1 }, undefined],
    [[{ a: 1 }, 'b'], 'b'],
    [null, undefined],
  ])('%j → %j (HD-08)', (claim, expected) => {
    expect(sent(claim)).toBe(expected);
  });

  test('decoding gives back what the provider said, whatever it was, and the value is one line of ASCII', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
        const value = sent(text)!;
        expect(decodeURIComponent(value)).toBe(text);
        expect(value).toMatch(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', minLength: 1 }), { minLength: 1 }), (texts) => {
        expect(sent(texts)!.split(',').map(decodeURIComponent)).toEqual(texts);
      }),
    );
  });

  test('new claims are told at once', () => {
    const headers = createClaimHeaders({ 'X-User-Id': 'sub', 'X-Roles': 'roles' })!;
    const before = { ...identity, roles: ['user'] };
    expect([headers(before), headers(before)]).toEqual(
      Array(2).fill([
        ['x-user-id', 'alice'],
        ['x-roles', 'user'],
      ]),
    );
    expect(headers({ ...before, roles: ['admin'] })).toContainEqual(['x-roles', 'admin']);
  });
});
