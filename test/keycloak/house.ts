// The example with Docker Compose without Docker: its realm, its configuration and its API as they stand in their files, with the names and ports of
// containers replaced by those of processes on loopback. Two Posterns share it.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { freePort } from '../support/free-port.ts';
import { newSessionKey, startPosternProcess } from '../support/postern.ts';
import type { ConfigInput, PosternProcess } from '../support/postern.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { RecordingUpstream } from '../support/upstream.ts';
import { startKeycloak } from './keycloak.ts';
import type { Keycloak } from './keycloak.ts';

const folder = join(import.meta.dirname, '../../examples/compose');
const read = (path: string): string => readFileSync(join(folder, path), 'utf8');
const secrets = { POSTERN_CLIENT_SECRET: 'the secret of the shop', API_CLIENT_SECRET: 'the secret of the API' };

export interface House {
  keycloak: Keycloak;
  redis: RedisServer;
  /** Of one configuration and one store. */
  posterns: [PosternProcess, PosternProcess];
  /** Their configuration. */
  config: ConfigInput;
  /** Behind `/own` and, for the role `staff`, `/staff`: unlike the example's API it asks nobody about a token. */
  own: RecordingUpstream;
  stop(): Promise<void>;
}

export async function startHouse(): Promise<House> {
  const publicUrl = `http://localhost:${await freePort()}`;
  const redis = await startRedis();
  const own = await RecordingUpstream.start();
  const keycloak = await startKeycloak({
    realm: 'shop',
    realmFile: () => replaced(read('keycloak/shop-realm.json'), { 'http://shop.localhost:8080': publicUrl }),
    environment: secrets,
  });
  const api = await startApi(keycloak);
  const text = replaced(read('postern/postern.yaml'), {
    'http://shop.localhost:8080': publicUrl,
    '0.0.0.0:8080': `127.0.0.1:${new URL(publicUrl).port}`,
    '0.0.0.0:9090': '127.0.0.1:0',
    'http://keycloak.localhost:8081': keycloak.origin,
    '{ env: POSTERN_CLIENT_SECRET }': secrets.POSTERN_CLIENT_SECRET,
    '{ env: POSTERN_SESSION_KEY }': newSessionKey(),
    'redis://valkey:6379/0': redis.url,
    'http://api:4100': api.url,
    '/srv/app': join(folder, '../demo/spa'),
  });
  const example = parse(text) as ConfigInput & { routes: object[] };
  const config = {
    ...example,
    routes: [
      ...example.routes,
      { path: '/own', upstream: own.url },
      { path: '/staff', upstream: own.url, require: { 'realm_access.roles': ['staff'] } },
    ],
    log: { level: 'debug', format: 'json' },
    shutdown: { delay: '0s' },
  };
  const posterns: [PosternProcess, PosternProcess] = [
    await startPosternProcess(config),
    await startPosternProcess({ ...config, listen: '127.0.0.1:0' }),
  ];
  return {
    keycloak,
    redis,
    posterns,
    config,
    own,
    async stop() {
      await Promise.all(posterns.map((postern) => postern.stop()));
      api.process.kill();
      await own.stop();
      await keycloak[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}

/** The example's API, which asks Keycloak about every token. */
async function startApi({ issuer }: Keycloak): Promise<{ url: string; process: ChildProcess }> {
  const { services } = parse(read('compose.yaml')) as {
    services: { api: { environment: Record<string, string> } };
  };
  const { CLIENT_ID = '', INTROSPECTION_URL = '' } = services.api.environment;
  const api = spawn(process.execPath, [join(folder, 'api/api.mts')], {
    env: {
      PORT: '0',
      INTROSPECTION_URL: issuer + INTROSPECTION_URL.replace(/^.*\/realms\/shop/, ''),
      CLIENT_ID,
      CLIENT_SECRET: secrets.API_CLIENT_SECRET,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = (await once(api.stdout, 'data')) as [Buffer];
  return { url: `http://127.0.0.1:${/port: (\d+)/.exec(said.toString())![1]!}`, process: api };
}

/** @throws Error when the text does not name what is to be replaced: then it is another example */
function replaced(text: string, names: Record<string, string>): string {
  return Object.entries(names).reduce((changed, [name, by]) => {
    if (!changed.includes(name)) throw new Error(`the example does not name ${name}`);
    return changed.replaceAll(name, by);
  }, text);
}
