import { expect, test } from '@jest/globals';
import { complaintsAbout, load, rightSave } from '../../support/config-text.ts';

const withIssuer = (issuer: string): string =>
  rightSave(`provider: { issuer: ${JSON.stringify(issuer)}, clientId: shop, clientSecret: { env: CLIENT_SECRET } }`);
const withPublicUrl = (publicUrl: string): string => rightSave(`publicUrl: ${publicUrl}`);
const shortKey = { env: { SESSION_KEY: 'c2hvcnQ=' } };
const noSecret = 'provider: { issuer: https://id.example.com, clientId: shop }';

test.each([
  'http://localhost:8080',
  'http://shop.localhost:8080',
  'http://127.0.0.1',
  'http://127.8.9.10:1',
  'http://[::1]:8080',
])('plain http is fine on loopback: %s', (url) => {
  expect(load(withPublicUrl(url)).kind).toBe('ok');
  expect(load(withIssuer(`${url}/realms/shop`)).kind).toBe('ok');
});

test.each([
  'http://shop.example.com',
  'http://localhost.example.com',
  'http://127.0.0.1.example.com',
  'http://10.0.0.1',
  'http://10.127.0.1',
  'http://[::2]:8080',
  'http://notlocalhost',
])('plain http refuses to start off loopback: %s (OA-25, SEC-03)', (url) => {
  expect(complaintsAbout(withPublicUrl(url))[0]).toContain('publicUrl: ');
  expect(complaintsAbout(withIssuer(url))[0]).toContain('provider.issuer: ');
});

test.each([
  ['httpPublicUrl', withPublicUrl('http://shop.example.com'), {}],
  ['httpIssuer', withIssuer('http://id.example.com'), {}],
  ['publicClient', rightSave(noSecret), {}],
  ['weakKey', rightSave(''), shortKey],
])('insecure.%s alone opens its one door, and says so (BFF-01, SEC-03)', (name, text, world) => {
  expect(load(text, world).kind).toBe('invalid');
  const others = ['httpPublicUrl', 'httpIssuer', 'publicClient', 'weakKey'].filter((other) => other !== name);
  const withOthers = `${text}insecure: { ${others
    .filter((other) => other !== 'publicClient')
    .map((other) => `${other}: true`)
    .join(', ')} }\n`;
  expect(load(withOthers, world).kind).toBe('invalid');
  const opened = `${text}insecure: { ${name}: true }\n`;
  expect(complaintsAbout(opened, world)).toEqual([expect.stringContaining(` warning: insecure.${name}: `)]);
});

test.each([
  ['a cookie for other sites', 'cookie: { sameSite: none }'],
  ['CORS', 'cors: { origin: "*" }'],
  [
    'no certificate checks',
    'provider: { issuer: https://id.example.com, clientId: shop, clientSecret: { env: CLIENT_SECRET }, tls: { verify: false } }',
  ],
  [
    'another flow',
    'provider: { issuer: https://id.example.com, clientId: shop, clientSecret: { env: CLIENT_SECRET }, responseType: token }',
  ],
  ['a cookie without its prefix', 'cookie: { secure: false }'],
])('there is no key for %s (SEC-03, BFF-02, S-08)', (_what, text) => {
  expect(load(rightSave(text)).kind).toBe('invalid');
});

test('NODE_TLS_REJECT_UNAUTHORIZED=0 refuses to start, other values do not (SEC-03)', () => {
  expect(load(rightSave(''), { env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } }).kind).toBe('invalid');
  expect(load(rightSave(''), { env: { NODE_TLS_REJECT_UNAUTHORIZED: '1' } }).kind).toBe('ok');
});
