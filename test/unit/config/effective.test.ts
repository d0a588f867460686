import { expect, test } from '@jest/globals';
import { createOriginOf, formatEffective } from '../../../src/config/effective.ts';
import type { LoadedConfig } from '../../../src/cli/configuration.ts';
import { load, rightSave, sessionKey } from '../../support/config-text.ts';

function loaded(text: string, files: Record<string, string> = {}): LoadedConfig {
  const outcome = load(text, { files });
  if (outcome.kind === 'invalid') throw new Error(outcome.problems.map(({ message }) => message).join('\n'));
  return outcome;
}

const full = rightSave(`
listen: "[::]:8443"
provider:
  issuer: https://id.example.com
  clientId: shop
  clientSecret: { env: CLIENT_SECRET }
  scopes: [openid, profile]
  authorizationParameters: { audience: "5" }
session: { keys: [{ file: key }, { env: SESSION_KEY }], idleTimeout: 90s, absoluteTimeout: 36h }
limits: { headers: 64kb }
strictTransportSecurity: false
spa: { upstream: http://localhost:5173 }
routes:
  - { path: /api, upstream: http://orders:8080, timeout: { connect: 1500ms }, methods: [GET, POST] }
  - { path: /api/x, upstream: http://orders:8080, auth: optional, token: id }
  - path: /admin
    upstream: unix:/run/admin.sock
    require: { realm_access.roles: [admin, 2, true] }
    rewrite: /v2
    limits: { body: 10mb }
    contentSecurityPolicy: upstream
    headers: { claims: { X-User-Id: sub }, request: { set: { X-A: "1" }, allow: [] }, response: { remove: [X-B] } }
`);
const files = { '/etc/postern/key': Buffer.alloc(32, 'another key').toString('base64') };

test('what print shows is a configuration that means the same', () => {
  const { config } = loaded(full, files);
  expect(loaded(formatEffective(config), files).config).toEqual(config);
});

test('durations and sizes are printed as people write them', () => {
  const printed = formatEffective(loaded(full, files).config);
  expect(printed).toContain('idleTimeout: 90s\n');
  expect(printed).toContain('absoluteTimeout: 36h\n');
  expect(printed).toContain('connect: 1500ms\n');
  expect(printed).toContain('headers: 64kb\n');
  expect(printed).toContain('listen: "[::]:8443"\n');
});

test('explain says of every value where it comes from', () => {
  const { config, lineOf } = loaded(full, files);
  const lines = formatEffective(config, createOriginOf(config, lineOf)).split('\n');
  expect(lines).toContain('listen: "[::]:8443" # line 1');
  expect(lines).toContain('basePath: /bff # default');
  expect(lines).toContain('  clientSecret: { env: CLIENT_SECRET } # line 5, env CLIENT_SECRET');
  expect(lines).toContain('  scopes: [ openid, profile ] # line 6');
  expect(lines).toContain('    - { file: /etc/postern/key } # line 8, file /etc/postern/key');
  expect(lines).toContain('    token: id # line 14');
  const values = lines.filter((line) => !/^\s*(- )?\w+:$/.test(line) && line !== '');
  expect(values.filter((line) => !/ # (line \d+(, (env|file) \S+)?|default)$/.test(line))).toEqual([]);
});

test('a secret that stands in the file is redacted, and the rest still loads', () => {
  const { config, lineOf } = loaded(rightSave(`session: { keys: ["${sessionKey}"] }`));
  const printed = formatEffective(config);
  expect(printed).toContain('keys: [ "[redacted]" ]');
  expect(formatEffective(config, createOriginOf(config, lineOf))).toContain('keys: [ "[redacted]" ] # line 1\n');
  expect(load(printed).kind).toBe('invalid');
  expect(load(printed.replace('[redacted]', sessionKey)).kind).toBe('ok');
});

test('a Redis URL is printed unless it holds a password', () => {
  const printed = (url: string): string => formatEffective(loaded(rightSave(`redis: { url: "${url}" }`)).config);
  expect(printed('redis://redis:6379/0')).toContain('url: redis://redis:6379/0\n');
  expect(printed('redis://user:s3cret@redis')).toContain('url: "[redacted]"\n');
});

test('every route is printed with its methods and its token, save one without auth, which has no token', () => {
  const routes = rightSave(`
routes:
  - { path: /api, upstream: http://orders }
  - { path: /open, upstream: http://orders, auth: none }
`);
  const { config } = loaded(routes);
  const printed = formatEffective(config);
  expect(printed.match(/token: .*/g)).toEqual(['token: access']);
  expect(printed.match(/methods: .*/g)).toEqual(
    Array(2).fill('methods: [ GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS ]'),
  );
  expect(loaded(printed).config).toEqual(config);
});
