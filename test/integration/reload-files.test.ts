// What a configuration is made of beside its own text: files that others write, the symbolic links of Kubernetes, and the signal that says "look again".
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { request } from 'undici';
import type { ServerResponse } from 'node:http';
import type { ConfigInput, PosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { heardFrom, hostOf, mountedVolume, refused, saidIn, startReloadable, taken } from '../support/reloadable.ts';
import type { Reloadable } from '../support/reloadable.ts';
import { metricOf, refreshesOf } from '../support/replicas.ts';
import { signIn } from '../support/signed-in.ts';
import { until } from '../support/until.ts';
import { makeCertificate } from '../support/certificate.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let provider: RealProvider;
let api: RecordingUpstream;
let directory: string;
const running: PosternProcess[] = [];

beforeAll(async () => {
  [provider, api] = await Promise.all([startRealProvider({ accessTokenTtlSeconds: 4 }), RecordingUpstream.start()]);
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-reload-'));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((postern) => postern.stop()));
  rmSync(directory, { recursive: true });
});
afterAll(async () => {
  await Promise.all([provider.close(), api.stop()]);
});

async function start(overrides: ConfigInput = {}): Promise<Reloadable> {
  const reloadable = await startReloadable(provider, { routes: [{ path: '/api', upstream: api.url }], ...overrides });
  running.push(reloadable.postern);
  return reloadable;
}

test('SIGHUP reads everything again and says so, changed or not', async () => {
  const { postern } = await start();
  postern.signal('SIGHUP');
  await until(async () => (await metricOf(postern, taken)) === 1);
  postern.signal('SIGHUP');
  await until(() => saidIn(postern, 'configuration reloaded').length === 2);
});

test('a configuration and a secret that Kubernetes swaps by their symbolic link are taken over', async () => {
  const swap = mountedVolume(directory);
  const [first, second] = ['first-'.repeat(8), 'second-'.repeat(8)];
  swap('v1', { 'admin-token': first });
  symlinkSync('..data/admin-token', join(directory, 'admin-token'));
  const { postern } = await start({
    operations: { listen: '127.0.0.1:0', admin: { token: { file: join(directory, 'admin-token') } } },
  });
  const statusWith = async (token: string): Promise<number> =>
    (
      await fetch(`${postern.operationsUrl}/admin/sessions?sub=alice`, {
        headers: { authorization: `Bearer ${token}` },
      })
    ).status;
  expect(await statusWith(first)).toBe(200);
  swap('v2', { 'admin-token': second });
  await until(async () => (await statusWith(second)) === 200);
  expect(await statusWith(first)).toBe(401);

  const text = readFileSync(postern.configFile, 'utf8');
  const swapConfig = mountedVolume(dirname(postern.configFile));
  swapConfig('v1', { 'postern.yaml': text });
  rmSync(postern.configFile);
  symlinkSync('..data/postern.yaml', postern.configFile);
  const changed = {
    ...(JSON.parse(text) as ConfigInput),
    routes: [{ path: '/moved', upstream: api.url, auth: 'none' }],
  };
  swapConfig('v2', { 'postern.yaml': JSON.stringify(changed) });
  await until(async () => (await request(`${postern.address}/moved`, { headers: hostOf(postern) })).statusCode === 200);
  expect(postern.output.join('')).not.toContain(second);
});

test('a client secret that changes in its file is used for the sessions there are, and is an audit event', async () => {
  const file = join(directory, 'client-secret');
  writeFileSync(file, 'postern-secret\n');
  const { issuer, clientId } = provider;
  const { postern } = await start({
    provider: { issuer, clientId, clientSecret: { file }, scopes: ['openid', 'profile', 'email'] },
  });
  const alice = await signIn(postern, provider);
  writeFileSync(file, '');
  await until(async () => (await metricOf(postern, refused)) === 1);
  expect(await heardFrom(postern, 'configuration refused: the former one stays in force')).toEqual([
    expect.objectContaining({
      event: 'configuration_refused',
      problems: [expect.stringMatching(/provider\.clientSecret: the file .*client-secret is empty/)],
    }),
  ]);
  const secrets = () =>
    refreshesOf(provider).map(({ authorization = '' }) =>
      decodeURIComponent(Buffer.from(authorization.slice(6), 'base64').toString()),
    );
  writeFileSync(file, 'NotTheOneThatIsRegistered\n');
  await until(async () => (await metricOf(postern, taken)) === 1);
  expect(await heardFrom(postern, 'configuration reloaded')).toEqual([
    expect.objectContaining({ event: 'configuration_reloaded', changed: ['provider.clientSecret'], files: [file] }),
  ]);
  await alice.untilExpired();
  expect((await alice.call('/api/x')).status).toBe(503);
  expect(secrets().at(-1)).toBe('postern:NotTheOneThatIsRegistered');

  writeFileSync(file, 'postern-secret\n');
  await until(async () => (await alice.call('/api/x')).status === 200);
  expect(secrets().at(-1)).toBe('postern:postern-secret');
  expect(postern.output.join('')).not.toContain('NotTheOne');
}, 180_000);

test('an upstream that no route names any longer is let go: calls finish, idle connections close, nobody looks at its files', async () => {
  const certificate = makeCertificate(['127.0.0.1']);
  const [former, plain] = await Promise.all([RecordingUpstream.start(certificate), RecordingUpstream.start()]);
  const fileOf = (name: string): string => join(directory, name);
  for (const name of ['former.pem', 'kept.pem']) writeFileSync(fileOf(name), certificate.cert);
  const routeTo = (path: string, upstream: string, name?: string) => ({
    path,
    upstream,
    auth: 'none',
    ...(name !== undefined && { tls: { ca: { file: fileOf(name) } } }),
  });
  const kept = [routeTo('/api', api.url), routeTo('/kept', 'https://127.0.0.1:9', 'kept.pem')];
  const { postern, change } = await start({
    routes: [...kept, routeTo('/former', former.url, 'former.pem'), routeTo('/plain', plain.url)],
  });
  const call = (path: string) => request(postern.address + path, { headers: hostOf(postern) });
  for (const path of ['/api', '/plain', '/former']) await (await call(path)).body.dump();
  const waiting: ServerResponse[] = [];
  former.answer = (_request, response) => void waiting.push(response);
  const held = call('/former');
  await until(() => waiting.length === 1);
  former.reset();
  await (await call('/former')).body.dump();
  expect([await former.openConnections(), await plain.openConnections()]).toEqual([2, 1]);

  change({ routes: kept });
  await until(async () => (await metricOf(postern, taken)) === 1);
  await until(async () => (await former.openConnections()) === 1 && (await plain.openConnections()) === 0);
  expect(await api.openConnections()).toBe(1);
  waiting[0]!.end('to the end');
  expect(await (await held).body.text()).toBe('to the end');
  await until(async () => (await former.openConnections()) === 0);

  const refusedFiles = (): string[] =>
    saidIn(postern, 'files refused: what they held before stays in force').flatMap(({ files }) => files as string[]);
  rmSync(fileOf('former.pem'));
  rmSync(fileOf('kept.pem'));
  await until(() => refusedFiles().length > 0);
  expect(refusedFiles()).not.toContain(fileOf('former.pem'));
  await Promise.all([former.stop(), plain.stop()]);
});
