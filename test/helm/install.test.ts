// What an installation does with what the cluster already holds, and what it tells.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { startApiServer } from './api-server.ts';
import { run, valuesArguments } from './chart.ts';

const keptKey = Buffer.from('the key of the first installation').toString('base64');
const keptPassword = Buffer.from('the password of the first installation').toString('base64');
let empty: Awaited<ReturnType<typeof startApiServer>>;
let installed: Awaited<ReturnType<typeof startApiServer>>;

beforeAll(async () => {
  empty = await startApiServer({});
  installed = await startApiServer({
    'postern-session-key': { 'session-key': keptKey },
    'postern-valkey': { 'redis-password': keptPassword },
  });
});
afterAll(() => {
  empty.close();
  installed.close();
});

/** What `helm install` would install there, and its notes. */
async function install(server: { url: string }, values: object = {}): Promise<string> {
  const flags = ['--dry-run=server', '--disable-openapi-validation', '--namespace', 'default'];
  const args = ['install', 'postern', 'helm', ...flags, '--kube-apiserver', server.url, ...valuesArguments('minimal')];
  const { code, stdout, stderr } = await run('POSTERN_HELM', args, stringify(values));
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

const createSessionKey = { secrets: { createSessionKey: true } };
const sessionKeyIn = (rendered: string): string | undefined => /^ {2}session-key: (\S+)$/m.exec(rendered)?.[1];

test('a session key is made of 32 random bytes at the first installation', async () => {
  const first = sessionKeyIn(await install(empty, createSessionKey))!;
  const second = sessionKeyIn(await install(empty, createSessionKey))!;
  const text = Buffer.from(first, 'base64').toString();
  expect(text).toMatch(/^[A-Za-z0-9+/]{43}=$/);
  expect(Buffer.from(text, 'base64')).toHaveLength(32);
  expect(first).not.toBe(second);
});

test('a session key that is there is kept, so that an upgrade logs nobody out', async () => {
  expect(sessionKeyIn(await install(installed, createSessionKey))).toBe(keptKey);
});

test('the session key outlives the release', async () => {
  expect(await install(empty, createSessionKey)).toMatch(/session-key\n[^]*helm\.sh\/resource-policy: keep/);
});

test('the password of a Valkey is made once and kept, so that an upgrade cuts nobody off', async () => {
  const passwordIn = (rendered: string): string | undefined => /^ {2}redis-password: (\S+)$/m.exec(rendered)?.[1];
  const valkey = { valkey: { enabled: true } };
  const first = passwordIn(await install(empty, valkey))!;
  expect(Buffer.from(first, 'base64').toString()).toMatch(/^[A-Za-z0-9]{48}$/);
  expect(passwordIn(await install(empty, valkey))).not.toBe(first);
  expect(passwordIn(await install(installed, valkey))).toBe(keptPassword);
  expect(await install(empty, valkey)).toMatch(/\n\nThe sessions are in the one Valkey postern-valkey: .+\n\n/);
});

test('without being asked the chart makes no Secret at all', async () => {
  expect(await install(empty)).not.toMatch(/^kind: Secret$/m);
});

test('the notes name every URI to register at the provider', async () => {
  const notes = await install(empty, { config: { basePath: '/auth', logout: { frontChannel: true } } });
  expect(notes).toContain('Register at https://id.example.com/realms/shop for the client shop-bff');
  for (const path of ['callback', 'logout/callback', 'backchannel-logout', 'frontchannel-logout']) {
    expect(notes).toMatch(new RegExp(`URI +https://shop\\.example\\.com/auth/${path}$`, 'm'));
  }
});

test('the notes say what is still missing, and not what is there', async () => {
  const missing = await install(empty);
  expect(missing).toContain('Nothing leads to it yet');
  expect(missing).toContain('trustedProxies is empty');
  expect(missing).toContain('a restart logs everybody out');
  const config = { trustedProxies: ['10.0.0.0/8'], redis: { url: 'redis://redis:6379/0' } };
  const whole = await install(empty, { config, ingress: { enabled: true } });
  expect(whole).toContain('NOTES:');
  expect(whole).not.toMatch(/Nothing leads to it|trustedProxies is empty|logs everybody out/);
});
