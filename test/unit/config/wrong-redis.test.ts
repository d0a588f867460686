import { expect, test } from '@jest/globals';
import { makeCertificate } from '../../support/certificate.ts';
import { complaintsAbout, load, rightSave } from '../../support/config-text.ts';

const { cert: certificate, key } = makeCertificate(['postern']);

test.each([
  ['a server', 'redis: { url: { env: REDIS_URL } }'],
  [
    'a server with a user beside the URL',
    'redis: { url: { env: REDIS_URL }, username: postern, password: { env: P } }',
  ],
  ['a server with TLS', 'redis: { url: "rediss://redis:6379", tls: { ca: { file: /ca.pem } }, database: 3 }'],
  [
    'Sentinel',
    'redis: { sentinel: { name: shop, nodes: ["s-1:26379", "[::1]:26379"], username: u, password: { env: P } }, database: 1 }',
  ],
  [
    'a Cluster',
    'redis: { cluster: { nodes: ["r-1:6379"] }, tls: { cert: { file: /ca.pem }, key: { file: /key.pem } } }',
  ],
  ['a Cluster with public authorities', 'redis: { cluster: { nodes: ["r-1:6379"] }, tls: {}, database: 0 }'],
])('Redis can be %s', (_what, redis) => {
  const world = { files: { '/ca.pem': certificate, '/key.pem': key }, env: { P: 'secret' } };
  expect(complaintsAbout(rightSave(redis), world)).toEqual([]);
  expect(load(rightSave(redis), world).kind).toBe('ok');
});

test('sessions are kept in exactly one place', () => {
  expect(complaintsAbout(rightSave('redis: { username: postern }'))).toEqual([
    'postern.yaml:1:8 redis: must say where Redis is: url, sentinel or cluster',
  ]);
  const all =
    'redis: { url: { env: REDIS_URL }, sentinel: { name: shop, nodes: ["s:26379"] }, cluster: { nodes: ["r:6379"] } }';
  expect(complaintsAbout(rightSave(all))).toEqual([
    'postern.yaml:1:45 redis.sentinel: stands beside redis.url: sessions are kept in one place; take one of the two out',
    'postern.yaml:1:90 redis.cluster: stands beside redis.url: sessions are kept in one place; take one of the two out',
  ]);
});

test('a node is host:port, and there is at least one', () => {
  const nodes = 'redis: { cluster: { nodes: [redis-1, "redis-2:0", "redis://redis-3:6379", "redis-4:70000"] } }';
  expect(complaintsAbout(rightSave(nodes)).map((line) => line.replace(/^\S+ /, ''))).toEqual([
    'redis.cluster.nodes[0]: must be host:port, such as redis-1:6379, not "redis-1"',
    'redis.cluster.nodes[1]: must be host:port, such as redis-1:6379, not "redis-2:0"',
    'redis.cluster.nodes[2]: must be host:port, such as redis-1:6379, not "redis://redis-3:6379"',
    'redis.cluster.nodes[3]: must be host:port with a port of at most 65535, not "redis-4:70000"',
  ]);
  expect(load(rightSave('redis: { cluster: { nodes: [] } }')).kind).toBe('invalid');
  expect(load(rightSave('redis: { sentinel: { nodes: ["s:26379"] } }')).kind).toBe('invalid');
});

test.each([
  ['http://redis:6379'],
  ['redis:6379'],
  ['redis:///0'],
  ['redis://redis:6379/zero'],
  // What the driver would read from a query could switch its limits off.
  ['redis://redis:6379/0?enableOfflineQueue=true'],
])('no Redis URL: %s', (url) => {
  expect(complaintsAbout(rightSave('redis: { url: { env: REDIS_URL } }'), { env: { REDIS_URL: url } })).toEqual([
    'postern.yaml:1:15 redis.url: must be a URL such as redis://host:6379/0 or rediss://user:password@host:6379/0',
  ]);
});

test('what the URL says is not said again beside it', () => {
  const text = 'redis: { url: { env: REDIS_URL }, username: other, password: { env: P }, database: 1 }';
  const env = { REDIS_URL: 'redis://:secret@redis:6379/0', P: 'secret' };
  expect(complaintsAbout(rightSave(text), { env }).map((line) => line.replace(/^\S+ /, ''))).toEqual([
    'redis.username: stands beside what redis.url says of it; say it in one place',
    'redis.password: stands beside what redis.url says of it; say it in one place',
    'redis.database: stands beside what redis.url says of it; say it in one place',
  ]);
});

test('TLS that would not be used is refused, and so are certificates that are none (SES-16)', () => {
  const files = { '/ca.pem': 'not one', '/key.pem': certificate };
  expect(
    complaintsAbout(
      rightSave(`
redis:
  url: redis://redis:6379/0
  tls:
    ca: { file: /ca.pem }
    key: { file: /key.pem }
`),
      { files },
    ),
  ).toEqual([
    'postern.yaml:2:8 redis.url: begins with redis://, which is unencrypted, beside redis.tls; write rediss://',
    'postern.yaml:4:17 redis.tls.ca.file: /ca.pem holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)',
    'postern.yaml:5:10 redis.tls.key: needs redis.tls.cert beside it: a client certificate is both',
    'postern.yaml:5:18 redis.tls.key.file: /key.pem holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)',
  ]);
  const missing = 'redis: { url: "rediss://redis", tls: { cert: { file: /no.pem }, key: { file: /no.pem } } }';
  expect(complaintsAbout(rightSave(missing)).map((line) => line.replace(/^\S+ /, ''))).toEqual([
    'redis.tls.cert.file: /no.pem cannot be read: there is no such file',
    'redis.tls.key.file: /no.pem cannot be read: there is no such file',
  ]);
});

test('an authority that is cut off, and a client certificate with another’s key, are refused (SES-16)', () => {
  const files = {
    '/ca.pem': certificate.slice(0, 200),
    '/client.pem': certificate,
    '/key.pem': makeCertificate(['x']).key,
  };
  const saidOf = (tls: string): string[] =>
    complaintsAbout(rightSave(`redis: { url: "rediss://redis", tls: { ${tls} } }`), { files });
  expect(saidOf('ca: { file: /ca.pem }')[0]).toMatch(/redis\.tls: its files cannot be used: .* cut off or damaged$/);
  expect(saidOf('cert: { file: /client.pem }, key: { file: /key.pem }')[0]).toMatch(/: key values mismatch$/);
});

test('a Cluster has no numbered databases', () => {
  expect(complaintsAbout(rightSave('redis: { cluster: { nodes: ["r:6379"] }, database: 2 }'))).toEqual([
    'postern.yaml:1:52 redis.database: must be 0 or left out: a Cluster has only one database',
  ]);
  expect(load(rightSave('redis: { url: { env: REDIS_URL }, database: -1 }')).kind).toBe('invalid');
});

test('passwords in the file, and Redis far away without TLS, are warned of (SES-16)', () => {
  expect(
    complaintsAbout(
      rightSave(`
redis:
  sentinel: { name: shop, nodes: ["10.0.0.7:26379", "sentinel-2:26379"], password: one }
  password: two
`),
    ).map((line) => line.replace(/^\S+ /, '')),
  ).toEqual([
    'warning: redis: who is signed in travels unencrypted to 10.0.0.7; use rediss:// or redis.tls',
    'warning: redis.sentinel.password: the secret stands in this file; { file: /path } or { env: NAME } keeps it out of copies and commits',
    'warning: redis.password: the secret stands in this file; { file: /path } or { env: NAME } keeps it out of copies and commits',
  ]);
  expect(complaintsAbout(rightSave('redis: { url: "redis://redis.example.com" }'))).toHaveLength(1);
  expect(complaintsAbout(rightSave('redis: { url: "rediss://redis.example.com" }'))).toEqual([]);
  expect(complaintsAbout(rightSave('redis: { cluster: { nodes: ["r.example.com:6379"] }, tls: {} }'))).toEqual([]);
});
