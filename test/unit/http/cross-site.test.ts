import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import { isFromOwnPages } from '../../../src/http/cross-site.ts';

const origin = 'https://shop.example.com';
const rule = { origin, requireHeader: false, typedUrl: false, navigation: false };
const passes = (method: string, headers: IncomingHttpHeaders, changes: Partial<typeof rule> = {}): boolean =>
  isFromOwnPages(method, headers, { ...rule, ...changes });
const navigate = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
const script = { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };

describe.each(['GET', 'HEAD', 'POST', 'DELETE'])('%s', (method) => {
  test.each(['cors', 'no-cors', 'navigate', 'same-origin'])(
    'of the four values of Sec-Fetch-Site only same-origin passes, whatever the mode: %s (CSRF-04, CS-02)',
    (mode) => {
      const passing = ['same-origin', 'same-site', 'cross-site', 'none'].filter((site) =>
        passes(method, { 'sec-fetch-site': site, 'sec-fetch-mode': mode }),
      );
      expect(passing).toEqual(['same-origin']);
    },
  );

  test.each([
    'null',
    'https://b.example.com',
    'https://shop.example.com.evil.example',
    'https://xshop.example.com',
    'http://shop.example.com',
    'https://shop.example.com:8443',
    'HTTPS://SHOP.EXAMPLE.COM',
    '',
  ])('an Origin that is not ours is refused, whatever else is there: %j (CSRF-03, CS-02)', (foreign) => {
    expect(passes(method, { origin: foreign, 'sec-fetch-site': 'same-origin', 'x-csrf': '1' })).toBe(false);
  });

  test('without Fetch Metadata our own Origin is enough, and so is the header (CSRF-11)', () => {
    expect(passes(method, { origin })).toBe(true);
    expect(passes(method, { 'x-csrf': '1' })).toBe(true);
  });

  test('a request that shows nothing is refused, as are other values of the header (CSRF-01, CSRF-02, CS-01)', () => {
    expect(passes(method, {})).toBe(false);
    for (const value of ['0', 'true', '', '1, 1', '11']) expect(passes(method, { 'x-csrf': value })).toBe(false);
  });

  test('the header does not make up for a foreign Sec-Fetch-Site', () => {
    expect(passes(method, { 'x-csrf': '1', 'sec-fetch-site': 'same-site' })).toBe(false);
    expect(passes(method, { 'x-csrf': '1', origin, 'sec-fetch-site': 'cross-site' })).toBe(false);
  });

  test('where the header is required, nothing but the header will do (CSRF-01)', () => {
    const required = { requireHeader: true };
    expect(passes(method, { 'sec-fetch-site': 'same-origin', origin }, required)).toBe(false);
    expect(passes(method, { 'sec-fetch-site': 'same-origin', 'x-csrf': '1' }, required)).toBe(true);
    expect(passes(method, { 'sec-fetch-site': 'cross-site', 'x-csrf': '1' }, required)).toBe(false);
  });
});

test('navigations from our pages can be let off the required header, scripts not', () => {
  const changes = { requireHeader: true, navigation: true };
  expect(passes('GET', { 'sec-fetch-site': 'same-origin', ...navigate }, changes)).toBe(true);
  expect(passes('GET', { 'sec-fetch-site': 'same-origin', ...script }, changes)).toBe(false);
  expect(passes('GET', { 'sec-fetch-site': 'cross-site', ...navigate }, changes)).toBe(false);
});

test('a typed address passes only where the route says so, and only to read', () => {
  const typed = { 'sec-fetch-site': 'none', ...navigate };
  expect(passes('GET', typed)).toBe(false);
  expect(passes('GET', typed, { typedUrl: true })).toBe(true);
  expect(passes('HEAD', typed, { typedUrl: true })).toBe(true);
  expect(passes('POST', typed, { typedUrl: true })).toBe(false);
  expect(passes('GET', { 'sec-fetch-site': 'none', ...script }, { typedUrl: true })).toBe(false);
});
