import { expect, test } from '@jest/globals';
import { isNavigation } from '../../../src/http/navigation.ts';

const html = { accept: 'text/html,application/xhtml+xml' };

test('a person on the way here is a navigation, also through a service worker', () => {
  expect(isNavigation({ 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' })).toBe(true);
  expect(isNavigation({ 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'empty' })).toBe(true);
});

test.each(['iframe', 'frame', 'image', 'object', 'embed', 'script', 'worker', 'report'])(
  'a document or file inside a page is none: %s (SES-13, CSRF-09)',
  (destination) => {
    expect(isNavigation({ 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': destination, ...html })).toBe(false);
    expect(isNavigation({ 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': destination, ...html })).toBe(false);
  },
);

test('what a script fetches is none, whatever it says it accepts (CSRF-09)', () => {
  expect(isNavigation({ 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', ...html })).toBe(false);
  expect(isNavigation({ 'sec-fetch-site': 'same-origin', ...html })).toBe(false);
});

test('a prefetch or prerender is none (SES-13)', () => {
  const navigate = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  expect(isNavigation({ ...navigate, 'sec-purpose': 'prefetch' })).toBe(false);
  expect(isNavigation({ ...navigate, 'sec-purpose': 'prefetch;prerender' })).toBe(false);
});

test('a browser without Fetch Metadata is known by what it accepts', () => {
  expect(isNavigation(html)).toBe(true);
  expect(isNavigation({ accept: '*/*' })).toBe(false);
  expect(isNavigation({})).toBe(false);
});
