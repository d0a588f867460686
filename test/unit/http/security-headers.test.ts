import { expect, test } from '@jest/globals';
import { createSecurityHeaders } from '../../../src/http/security-headers.ts';

const hsts = 'max-age=31536000; includeSubDomains';
const headers = createSecurityHeaders({ https: true, strictTransportSecurity: hsts });
const sets = {
  own: headers.own,
  page: headers.page({}),
  'page with a script': headers.page({ scriptNonce: 'abc', formTargets: ['https://id.example.com'] }),
  app: headers.app(undefined, ['https://id.example.com']),
};
const policyOf = (set: Readonly<Record<string, string>>): string[] => set['content-security-policy']!.split('; ');

test.each(Object.entries(sets))(
  '%s: nobody frames us, nothing is sniffed, plugins and base are off (HDR-01, HDR-05, HDR-07, CS-14)',
  (_name, set) => {
    expect(policyOf(set)).toEqual(
      expect.arrayContaining(["frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'"]),
    );
    expect(set).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    });
  },
);

test.each([...Object.entries(sets), ['proxied', headers.proxied] as const])(
  '%s: https stays https (HDR-04)',
  (_name, set) => {
    expect(set['strict-transport-security']).toBe(hsts);
  },
);

test('without https, or where it is switched off, transport security is not claimed', () => {
  for (const options of [
    { https: false, strictTransportSecurity: hsts },
    { https: true, strictTransportSecurity: false as const },
  ]) {
    expect(createSecurityHeaders(options).own).not.toHaveProperty('strict-transport-security');
  }
});

test('redirects and JSON give nothing away to where they lead, pages keep their Origin on forms (FL-13, HDR-05)', () => {
  expect(headers.own['referrer-policy']).toBe('no-referrer');
  expect(sets.page['referrer-policy']).toBe('same-origin');
  expect(policyOf(headers.own)).toEqual(expect.arrayContaining(["default-src 'none'", "form-action 'none'"]));
});

test('a page of ours runs no script, or the one under its nonce', () => {
  expect(sets.page['content-security-policy']).not.toContain('script-src');
  expect(policyOf(sets['page with a script'])).toEqual(
    expect.arrayContaining([
      "script-src 'nonce-abc'",
      "form-action 'self' https://id.example.com",
      "default-src 'none'",
    ]),
  );
});

test('what an upstream answers runs no script in our origin', () => {
  expect(policyOf(headers.proxied)).toEqual(
    expect.arrayContaining(["script-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'self'"]),
  );
  expect(headers.proxied['x-content-type-options']).toBe('nosniff');
});

test('the app may send a form to the provider, and brings its own policy if it likes', () => {
  expect(policyOf(sets.app)).toEqual(
    expect.arrayContaining(["default-src 'self'", "form-action 'self' https://id.example.com"]),
  );
  expect(headers.app("default-src 'self' https://cdn.example.com", [])['content-security-policy']).toBe(
    "default-src 'self' https://cdn.example.com",
  );
});

test('nothing says what we are made of (SEC-05)', () => {
  for (const set of Object.values(sets))
    expect(Object.keys(set)).not.toEqual(expect.arrayContaining(['x-powered-by', 'server']));
});
