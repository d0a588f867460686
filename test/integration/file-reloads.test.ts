// Files that a running process reads again, each for itself: what they hold is used from then on or refused, and either way an audit event says which
// files they were, and nothing of what is in them.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { anotherLook } from '../support/another-look.ts';
import { makeCertificate } from '../support/certificate.ts';
import type { Certificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { baseConfig, newSessionKey, startPosternProcess } from '../support/postern.ts';
import type { ConfigInput, PosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { launchRedis } from '../support/redis.ts';
import { startReloadable } from '../support/reloadable.ts';
import { signIn } from '../support/signed-in.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

const unused = { issuer: 'http://localhost:9', clientId: 'shop', clientSecret: 'unused' };
let provider: RealProvider;
let api: RecordingUpstream;
let directory: string;
const running: PosternProcess[] = [];

beforeAll(async () => {
  [provider, api] = await Promise.all([startRealProvider(), RecordingUpstream.start()]);
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-files-'));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((postern) => postern.stop()));
  rmSync(directory, { recursive: true });
});
afterAll(async () => {
  await Promise.all([provider.close(), api.stop()]);
});

const fileOf = (name: string): string => join(directory, name);
const pem = (name: string) => ({ file: fileOf(name) });

/** As certificate managers do it: the whole content at once. */
function replace(name: string, content: string): void {
  writeFileSync(fileOf(`${name}.new`), content);
  renameSync(fileOf(`${name}.new`), fileOf(name));
}

/** Contents by name. */
type Files = Record<string, string>;

interface AuditLine {
  event: string;
  setting: string;
  files: string[];
  problems?: string[];
  worker?: number;
}

const toldOf = ({ output }: PosternProcess, setting: string): AuditLine[] =>
  output
    .filter((line) => line.includes('"event":"files_'))
    .map((line) => JSON.parse(line) as AuditLine)
    .filter((line) => line.setting === setting);

async function startWith(overrides: ConfigInput): Promise<PosternProcess> {
  const postern = await startPosternProcess({ ...baseConfig(await freePort(), unused), ...overrides });
  running.push(postern);
  return postern;
}

const certificates = (...names: string[]) => names.map((name) => makeCertificate([name]));

test('session keys, certificates of its own, of upstreams and of Redis: each is an audit event with its setting and files, taken over or refused (SEC-01)', async () => {
  const [own, nextOwn, authority, nextAuthority, client, nextClient] = certificates(
    ...['localhost', 'localhost', 'api', 'api', 'postern', 'postern'],
  ) as [Certificate, Certificate, Certificate, Certificate, Certificate, Certificate];
  const [key, nextKey] = [newSessionKey(), newSessionKey()];
  const settings: Record<string, { first: Files; next: Files; bad: Files }> = {
    'session.keys': {
      first: { 'session.key': key },
      next: { 'session.key': nextKey },
      bad: { 'session.key': 'CANARY!' },
    },
    tls: {
      first: { 'tls.crt': own.cert, 'tls.key': own.key },
      next: { 'tls.crt': nextOwn.cert, 'tls.key': nextOwn.key },
      bad: { 'tls.key': 'CANARY' },
    },
    'routes.tls': {
      first: { 'api.pem': authority.cert },
      next: { 'api.pem': nextAuthority.cert },
      bad: { 'api.pem': '-----BEGIN CERTIFICATE-----\nCANARY' },
    },
    'redis.tls': {
      first: { 'redis.crt': client.cert, 'redis.key': client.key },
      next: { 'redis.crt': nextClient.cert, 'redis.key': nextClient.key },
      bad: { 'redis.key': own.key },
    },
  };
  const write = (files: Files): void => Object.entries(files).forEach(([name, content]) => replace(name, content));
  for (const { first } of Object.values(settings)) write(first);
  const port = await freePort();
  const postern = await startWith({
    publicUrl: `https://localhost:${port}`,
    listen: `127.0.0.1:${port}`,
    tls: { cert: pem('tls.crt'), key: pem('tls.key') },
    session: { keys: [pem('session.key')] },
    redis: { url: 'rediss://127.0.0.1:9', tls: { cert: pem('redis.crt'), key: pem('redis.key') } },
    routes: [{ path: '/api', upstream: 'https://127.0.0.1:9', tls: { ca: pem('api.pem') } }],
  });
  for (const [setting, { first, next, bad }] of Object.entries(settings)) {
    const files = Object.keys(first).map(fileOf);
    const last = (event: string) => toldOf(postern, setting).findLast((line) => line.event === event);
    write(next);
    await until(() => last('files_reloaded') !== undefined);
    expect(last('files_reloaded')).toMatchObject({ setting, files, module: 'audit', level: 'info' });
    const before = toldOf(postern, setting).length;
    write(bad);
    await until(() => toldOf(postern, setting).length > before);
    const refused = { event: 'files_refused', setting, files, problems: [expect.any(String)], level: 'error' };
    expect(toldOf(postern, setting).slice(before)).toEqual([expect.objectContaining(refused)]);
  }
  for (const secret of [key, nextKey, own.key, nextOwn.key, client.key, nextClient.key, 'CANARY'])
    expect(postern.output.join('\n')).not.toContain(secret.split('\n').at(1) ?? secret);
}, 180_000);

test('keys that have left their file open no session from then on (S-22)', async () => {
  replace('session.key', newSessionKey());
  const { postern } = await startReloadable(provider, {
    session: { keys: [pem('session.key')] },
    routes: [{ path: '/api', upstream: api.url }],
  });
  running.push(postern);
  const alice = await signIn(postern, provider);
  expect((await alice.call('/api/x')).status).toBe(200);
  replace('session.key', newSessionKey());
  await until(async () => (await alice.call('/api/x')).status === 401);
});

test('upstreams that share an authority are told of once, by each worker', async () => {
  const [first, next] = certificates('api', 'api') as [Certificate, Certificate];
  await using redis = await launchRedis({});
  replace('api.pem', first.cert);
  const routes = ['/one', '/two', '/three'].map((path, index) => ({
    path,
    upstream: `https://127.0.0.1:${index + 1}`,
    websocket: true,
    tls: { ca: pem('api.pem'), ...(index === 2 && { serverName: 'other' }) },
  }));
  const postern = await startWith({ routes, workers: 2, redis: { url: redis.url } });
  replace('api.pem', next.cert);
  await until(() => toldOf(postern, 'routes.tls').length >= 2);
  await anotherLook(directory);
  expect(
    toldOf(postern, 'routes.tls')
      .map(({ event, worker }) => `${event} ${worker}`)
      .sort(),
  ).toEqual(['files_reloaded 1', 'files_reloaded 2']);
});

test('a client certificate for Redis that is renewed is shown at the next connection', async () => {
  const [server, client, renewed] = certificates('127.0.0.1', 'postern', 'postern') as [
    Certificate,
    Certificate,
    Certificate,
  ];
  const write = (name: string, { cert, key }: Certificate): void => {
    replace(`${name}.crt`, cert);
    replace(`${name}.key`, key);
  };
  write('server', server);
  write('client', client);
  replace('believed.pem', client.cert);
  await using redis = await launchRedis({
    flags: [
      ...['--tls-cert-file', fileOf('server.crt'), '--tls-key-file', fileOf('server.key')],
      ...['--tls-ca-cert-file', fileOf('believed.pem'), '--tls-auth-clients', 'yes'],
    ],
    tls: { ca: server.cert, ...client },
  });
  const tls = { ca: pem('server.crt'), cert: pem('client.crt'), key: pem('client.key') };
  const postern = await startWith({ redis: { url: redis.url, tls } });
  const store = async (): Promise<string> => {
    const health = await (await fetch(`${postern.operationsUrl}/readyz`)).json();
    return (health as { parts: Record<string, string> }).parts['store']!;
  };
  await until(async () => (await store()) === 'up');
  replace('believed.pem', renewed.cert);
  write('client', renewed);
  await until(() => toldOf(postern, 'redis.tls').some(({ event }) => event === 'files_reloaded'));
  await redis.stop();
  await until(async () => (await store()) === 'down');
  await redis.start();
  await until(async () => (await store()) === 'up');
});
