// The example with Docker Compose, as far as it goes without Docker: its names, ports and secrets fit together, and the same configuration
// and the same API, run as processes, do what its page says.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { keycloakVersion } from '../../scripts/keycloak.js';
import { logIn, openBrowser, whoAmI } from '../support/browser-login.ts';
import { freePort } from '../support/free-port.ts';
import { newSessionKey, startPosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';

const folder = join(import.meta.dirname, '../../examples/compose');
const read = (path: string): string => readFileSync(join(folder, path), 'utf8');

interface Service {
  image?: string;
  ports?: string[];
  volumes?: string[];
  environment?: Record<string, string>;
  networks?: { default: { aliases: string[] } };
}

const { services } = parse(read('compose.yaml')) as { services: Record<string, Service> };
const configuration = parse(read('postern/postern.yaml'));
const realm = JSON.parse(read('keycloak/shop-realm.json'));
const client = (id: string) => realm.clients.find(({ clientId }: { clientId: string }) => clientId === id);

test('every port of the example is published on loopback only', () => {
  const published = Object.values(services).flatMap(({ ports = [] }) => ports);
  expect(published).toHaveLength(3);
  for (const port of published) expect(port).toMatch(/^127\.0\.0\.1:(\d+):\1$/);
});

test('every name that Postern, Keycloak and the API call is a container, on the port where it listens', () => {
  const listening: Record<string, string> = {
    'shop.localhost': configuration.listen.split(':')[1],
    'keycloak.localhost': services['keycloak']!.environment!['KC_HTTP_PORT']!,
    api: services['api']!.environment!['PORT']!,
    valkey: '6379',
  };
  const named = Object.entries(services).flatMap(([name, { networks }]) => [
    name,
    ...(networks?.default.aliases ?? []),
  ]);
  expect(named).toEqual(expect.arrayContaining(Object.keys(listening)));
  const called = [
    configuration.publicUrl,
    configuration.provider.issuer,
    configuration.redis.url,
    ...configuration.routes.map(({ upstream }: { upstream: string }) => upstream),
    services['keycloak']!.environment!['KC_HOSTNAME'],
    services['api']!.environment!['INTROSPECTION_URL'],
    client('shop-bff').attributes['backchannel.logout.url'],
  ].map((url) => new URL(url));
  for (const { hostname, port } of called) expect({ hostname, port }).toEqual({ hostname, port: listening[hostname] });
});

test('what is registered at Keycloak is what Postern asks for', () => {
  const { publicUrl, provider } = configuration;
  expect(provider.issuer).toBe(`${services['keycloak']!.environment!['KC_HOSTNAME']}/realms/${realm.realm}`);
  expect(client(provider.clientId)).toMatchObject({
    publicClient: false,
    redirectUris: [`${publicUrl}/bff/callback`],
    attributes: {
      'post.logout.redirect.uris': `${publicUrl}/bff/logout/callback`,
      'backchannel.logout.url': `${publicUrl}/bff/backchannel-logout`,
    },
  });
  const api = services['api']!.environment!['CLIENT_ID'];
  expect(client(provider.clientId).protocolMappers[0].config['included.client.audience']).toBe(api);
  expect(client(api!)).toMatchObject({ publicClient: false, standardFlowEnabled: false });
});

test('the Keycloak of the example is the one that Postern is tested with', () => {
  expect(services['keycloak']!.image).toBe(`quay.io/keycloak/keycloak:${keycloakVersion}`);
});

test('every secret is made by make-env, on this machine, and reaches whoever names it', () => {
  const copy = mkdtempSync(join(tmpdir(), 'postern-compose-'));
  copyFileSync(join(folder, 'make-env'), join(copy, 'make-env'));
  const make = () => spawnSync('sh', [join(copy, 'make-env')], { encoding: 'utf8' });
  expect(make().stdout).toBe('made .env\n');
  const env = readFileSync(join(copy, '.env'), 'utf8');
  const made = new Map(Array.from(env.matchAll(/^(\w+)=(\S{32,})$/gm), ([, name, value]) => [name!, value!]));
  // A second run would lock Keycloak and Postern out of each other.
  expect(make().stdout).toBe('.env is there already\n');
  expect(readFileSync(join(copy, '.env'), 'utf8')).toBe(env);
  rmSync(copy, { recursive: true });

  expect(new Set(made.values()).size).toBe(made.size);
  expect(Buffer.from(made.get('POSTERN_SESSION_KEY')!, 'base64')).toHaveLength(32);
  const asked = Array.from(read('compose.yaml').matchAll(/\$\{(\w+)[:}]/g), ([, name]) => name!);
  expect([...new Set(asked)].sort()).toEqual([...made.keys()].sort());
  const given = (name: string): string[] => Object.keys(services[name]!.environment!);
  const named = Array.from(read('postern/postern.yaml').matchAll(/env: (\w+)/g), ([, name]) => name!);
  expect(given('postern').sort()).toEqual(named.sort());
  for (const { secret } of realm.clients) expect(given('keycloak')).toContain(/^\$\{(\w+)\}$/.exec(secret)![1]);
});

test('every folder that is mounted exists, and the API is where its container starts it', () => {
  const mounts = Object.values(services).flatMap(({ volumes = [] }) =>
    volumes.filter((volume) => volume.startsWith('.')),
  );
  expect(mounts.length).toBeGreaterThan(3);
  for (const mount of mounts) expect(existsSync(join(folder, mount.split(':')[0]!))).toBe(true);
  expect(read('compose.yaml')).toContain('[node, /srv/api/api.mts]');
  expect(existsSync(join(folder, 'api/api.mts'))).toBe(true);
});

/** Answers as Keycloak's introspection endpoint does. The tokens are JWTs; their signature is not looked at here, and the API is put into `aud`. */
async function startIntrospection(credentials: string) {
  const server = createServer((request, response) => {
    void request.toArray().then((chunks: Buffer[]) => {
      const token = new URLSearchParams(Buffer.concat(chunks).toString()).get('token') ?? '';
      const payload = token.split('.')[1];
      const isAllowed = request.headers.authorization === `Basic ${Buffer.from(credentials).toString('base64')}`;
      const claims = payload === undefined ? {} : JSON.parse(Buffer.from(payload, 'base64url').toString());
      response
        .writeHead(isAllowed ? 200 : 401)
        .end(JSON.stringify({ ...claims, aud: [credentials.split(':')[0]], active: payload !== undefined }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

test('the configuration and the API of the example log in, call, and keep strangers out', async () => {
  await using redis = await startRedis();
  const { clientId, scopes } = configuration.provider;
  const apiId = services['api']!.environment!['CLIENT_ID']!;
  const provider = await startRealProvider({ clientId, clientSecret: 'shop secret', audience: 'urn:orders' });
  const introspection = await startIntrospection(`${apiId}:secret`);
  const api = spawn(process.execPath, [join(folder, 'api/api.mts')], {
    env: { PORT: '0', INTROSPECTION_URL: introspection.url, CLIENT_ID: apiId, CLIENT_SECRET: 'secret' },
  });
  const [said] = (await once(api.stdout, 'data')) as [Buffer];
  const upstream = `http://127.0.0.1:${/port: (\d+)/.exec(said.toString())![1]!}`;
  const port = await freePort();
  const publicUrl = `http://${new URL(configuration.publicUrl).hostname}:${port}`;
  provider.allowRedirectUri(`${publicUrl}/bff/callback`);

  const postern = await startPosternProcess({
    ...configuration,
    publicUrl,
    listen: `127.0.0.1:${port}`,
    operations: { listen: '127.0.0.1:0' },
    provider: { issuer: provider.issuer, clientId, clientSecret: 'shop secret', scopes },
    session: { ...configuration.session, keys: [newSessionKey()] },
    redis: { url: redis.url },
    routes: configuration.routes.map((route: object) => ({ ...route, upstream })),
    spa: { directory: join(folder, '../demo/spa') },
  });

  const browser = openBrowser(postern);
  expect((await browser.fetch('/api/orders')).status).toBe(401);
  expect(await (await browser.fetch('/api/health')).json()).toEqual({ healthy: true });
  await logIn(browser, provider, { user: 'alice' });
  expect(await whoAmI(browser)).toMatchObject({ authenticated: true });
  const answer = await browser.fetch('/api/orders');
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ orders: [{ text: 'Tea for one' }], accessToken: { format: 'JWT' } });
  expect((await fetch(`${upstream}/api/orders`, { headers: { authorization: 'Bearer forged' } })).status).toBe(401);

  await postern.stop();
  api.kill();
  introspection.close();
  await provider.close();
});
