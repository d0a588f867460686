import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { complaintsAbout, rightSave } from '../../support/config-text.ts';

test('a list at the top is no configuration', () => {
  expect(complaintsAbout('- publicUrl: https://shop.example.com')).toEqual([
    'postern.yaml:1:1: must be a section with publicUrl, provider and session, not a list',
  ]);
});

test('a tab is shown where it stands', () => {
  expect(
    complaintsAbout(`
provider:
	issuer: https://id.example.com
`),
  ).toEqual(['postern.yaml:2:1: a tab is used for indentation; YAML allows spaces only']);
});

test('a quote that is never closed is shown where it begins', () => {
  expect(
    complaintsAbout(`
publicUrl: "https://shop.example.com
listen: 0.0.0.0:8080
`),
  ).toEqual(['postern.yaml:1:12: the quote that begins here is never closed']);
});

test('a bracket that is never closed is shown where it begins', () => {
  expect(complaintsAbout('redis: { url: { env: REDIS_URL }\nlisten: 0.0.0.0:8080')).toEqual([
    'postern.yaml:1:8: the bracket that begins here is never closed',
  ]);
});

test('a line that is indented too far is the one that is shown', () => {
  expect(
    complaintsAbout(`
provider:
  issuer: https://id.example.com
   clientId: shop
`),
  ).toEqual([
    'postern.yaml:3:4: this line is indented deeper than the key above it, which has a value; line the two up',
  ]);
});

test('a line that is indented by one space too many or too few is one mistake', () => {
  const misfit = 'the indentation does not fit the lines above, or a colon or a comma is missing before this point';
  expect(complaintsAbout('routes:\n  - path: /api\n   upstream: http://orders:8080')).toEqual([
    `postern.yaml:3:1: ${misfit}`,
  ]);
  expect(complaintsAbout('provider:\n    issuer: https://id.example.com\n  clientId: shop')).toEqual([
    `postern.yaml:3:1: ${misfit}`,
  ]);
});

test('a list among the keys of a section is one mistake', () => {
  expect(
    complaintsAbout(`
routes:
  path: /api
  - upstream: http://orders:8080
`),
  ).toEqual(['postern.yaml:3:3: a list begins here, among the keys of a section']);
});

test('JSON without a comma is one mistake, at what follows', () => {
  expect(complaintsAbout('{ "provider": { "issuer": "https://id.example.com" "clientId": "shop" } }')).toEqual([
    'postern.yaml:1:52: this does not belong here; is a comma, a colon or a quote missing before it?',
  ]);
});

test('a file of another encoding is told to be UTF-8', () => {
  const utf16 = Buffer.from('\ufeffpublicUrl: https://shop.example.com\n', 'utf16le').toString('utf8');
  expect(complaintsAbout(utf16)).toEqual(['postern.yaml:1:1: the file is not UTF-8 text: save it as UTF-8']);
});

test('a byte order mark, Windows line ends and JSON are fine', () => {
  const text = rightSave('listen: 0.0.0.0:8080');
  expect(complaintsAbout(`\ufeff${text}`)).toEqual([]);
  expect(complaintsAbout(text.replaceAll('\n', '\r\n'))).toEqual([]);
  expect(complaintsAbout(JSON.stringify(parse(text)))).toEqual([]);
});

test('a missing colon is guessed at', () => {
  expect(
    complaintsAbout(`
publicUrl https://shop.example.com
listen: 0.0.0.0:8080
`),
  ).toEqual([
    'postern.yaml:1:1: a key must stand on one line and end with a colon and a space; is one of them missing?',
  ]);
});

test('a key that stands twice does not hide the other problems', () => {
  expect(
    complaintsAbout(
      rightSave(`
listen: 0.0.0.0:8080
listen: 0.0.0.0:8081
loggin: {}
`),
    ),
  ).toEqual([
    'postern.yaml:2:1: this key stands here twice; keep one of them',
    'postern.yaml:3:1 loggin: unknown key; did you mean "login"?',
  ]);
});

test('a second document is refused, not ignored', () => {
  const first = rightSave('listen: 0.0.0.0:8080');
  expect(complaintsAbout(`${first}---\npublicUrl: https://other.example.com`)).toEqual([
    'postern.yaml:10:1: a second document begins here (---); a configuration is one document',
  ]);
});

test('text that begins with * is shown to be an alias', () => {
  expect(complaintsAbout(rightSave('spa: { directory: *app }'))).toEqual([
    'postern.yaml:1:19: a value that begins with * means an alias in YAML, and there is none of this name; put the value in quotes',
  ]);
});

test('a tag is refused, and a secret that begins with ! is not repeated (SEC-01)', () => {
  expect(
    complaintsAbout(
      rightSave(`
provider:
  issuer: https://id.example.com
  clientId: shop
  clientSecret: !s3cret word
`),
    ),
  ).toEqual([
    'postern.yaml:4:17: a value that begins with ! means a tag in YAML, and there are none here; put the value in quotes',
  ]);
});

test('aliases that multiply without end are refused', () => {
  expect(
    complaintsAbout(`
a: &a [x,x,x,x,x,x,x,x,x,x]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]
d: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]
`),
  ).toEqual(['postern.yaml:1:1: the aliases (*name) repeat too much: write the values out']);
});

test('an alias within its own anchor is refused like any wrong value', () => {
  expect(complaintsAbout(rightSave('cookie: &cookie { name: *cookie }'))).toEqual([
    'postern.yaml:1:25 cookie.name: must be a cookie name, not a section',
  ]);
});

test('merge keys belong to YAML 1.1, and are unknown keys here', () => {
  expect(complaintsAbout(rightSave('cookie: &cookie { name: shop }\nlog: { <<: *cookie }'))).toEqual([
    'postern.yaml:2:8 log["<<"]: unknown key; allowed here: level, levels, access, format',
  ]);
});
