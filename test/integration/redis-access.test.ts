// How Redis is reached: by TLS or not at all, and as a user that may do no more than it must.
import { once } from 'node:events';
import { readFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createRedisStore, type RedisStoreOptions } from '../../src/store/redis.ts';
import type { RedisSettings } from '../../src/store/redis-settings.ts';
import { StoreUnavailable, type Store } from '../../src/store/store.ts';
import { makeCertificate } from '../support/certificate.ts';
import { aclUser, documentedRules, makeAclUser } from '../support/documented-acl.ts';
import { until } from '../support/until.ts';
import { launchRedis, startRedis, type RedisServer } from '../support/redis.ts';
import { hearing } from '../support/stores.ts';

let stores: Store[] = [];
afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
  stores = [];
});

function open(options: RedisSettings & Partial<RedisStoreOptions>): Store {
  const store = createRedisStore({ now: () => performance.now(), random: Math.random, ...options });
  stores.push(store);
  return store;
}

const isUp = (store: Store) => () =>
  store.ping().then(
    () => true,
    () => false,
  );

const server = makeCertificate(['127.0.0.1']);
const client = makeCertificate(['postern']);
const foreign = makeCertificate(['127.0.0.1']);

describe('TLS (SES-16)', () => {
  let directory: string;
  let redis: RedisServer;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'postern-tls-'));
    const files = { 'server.crt': server.cert, 'server.key': server.key, 'client.crt': client.cert };
    for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
    redis = await launchRedis({
      flags: [
        ...['--tls-cert-file', join(directory, 'server.crt'), '--tls-key-file', join(directory, 'server.key')],
        ...['--tls-ca-cert-file', join(directory, 'client.crt'), '--tls-auth-clients', 'yes'],
      ],
      tls: { ca: server.cert, cert: client.cert, key: client.key },
    });
  });
  afterAll(async () => {
    await redis[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  test('works with an authority of one’s own and a client certificate, for commands and messages', async () => {
    const store = open({ url: redis.url, tls: { ca: server.cert, cert: client.cert, key: client.key } });
    await until(isUp(store));
    await until(() => store.listening());
  });

  test.each([
    ['the client certificate is missing', { ca: server.cert }],
    ['the authority is another', { ca: foreign.cert, cert: client.cert, key: client.key }],
    ['the authority is none that the world knows', { cert: client.cert, key: client.key }],
  ])('fails, and stays failed, when %s', async (_what, tls) => {
    const causes: unknown[] = [];
    const store = open({ url: redis.url, tls, onStateChange: (state, cause) => causes.push(state, cause) });
    await expect(store.ping()).rejects.toThrow(StoreUnavailable);
    await until(() => causes.length > 0);
    expect(causes).toEqual(['down', expect.any(Error)]);
  });

  test.each<[string, (port: number) => RedisSettings]>([
    ['a server', (port) => ({ url: `rediss://127.0.0.1:${port}` })],
    ['a sentinel', (port) => ({ sentinel: { name: 'shop', nodes: [{ host: '127.0.0.1', port }] }, tls: {} })],
    ['a cluster', (port) => ({ cluster: { nodes: [{ host: '127.0.0.1', port }] }, tls: {} })],
  ])('never falls back to plain text: %s hears nothing but a TLS handshake', async (_what, settingsFor) => {
    await using eavesdropper = await startEavesdropper();
    open({ ...settingsFor(eavesdropper.port), username: 'postern', password: 'SEC_CANARY' });
    await until(() => eavesdropper.heard.length > 0);
    expect(eavesdropper.heard.map(([first]) => first)).toEqual(eavesdropper.heard.map(() => tlsHandshake));
  });

  test('holds for the primary that a sentinel names, too', async () => {
    await using eavesdropper = await startEavesdropper();
    await using sentinel = await startNamingSentinel(eavesdropper.port);
    const nodes = [{ host: '127.0.0.1', port: sentinel.port }];
    open({ sentinel: { name: 'shop', nodes }, tls: { ca: server.cert }, password: 'SEC_CANARY' });
    await until(() => eavesdropper.heard.length > 0);
    expect(eavesdropper.heard.map(([first]) => first)).toEqual(eavesdropper.heard.map(() => tlsHandshake));
  });
});

describe('an ACL user', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  test('as the documentation gives it may do what is done, and nothing else (SES-16)', async () => {
    const allowed = (await documentedRules())
      .filter((rule) => rule.startsWith('+'))
      .map((rule) => rule.slice(1).toUpperCase());
    const scripts = await readFile('src/store/redis-scripts.ts', 'utf8');
    const called = [...scripts.matchAll(/redis\.p?call\('([A-Z]+)'/g)].map(([, command]) => command!);
    const direct = ['EVAL', 'EVALSHA', 'PUBLISH', 'SUBSCRIBE', 'PING', 'INFO', 'SELECT', 'CLIENT|SETNAME'];
    const ofClusters = ['CLUSTER|SLOTS', 'READONLY', 'READWRITE', 'ASKING'];
    expect(allowed.sort()).toEqual([...new Set([...called, ...direct, ...ofClusters])].sort());
  });

  test('of the documentation is enough for commands and messages', async () => {
    await makeAclUser([redis]);
    const store = open({ url: redis.url, ...aclUser, database: 3 });
    await until(isUp(store));
    await until(() => store.listening());
  });

  test('that may not read the records has an outage, and nobody is signed out (ST-03)', async () => {
    await makeAclUser([redis]);
    const store = open({ url: redis.url, ...aclUser });
    await until(isUp(store));
    await redis.command('ACL', 'SETUSER', aclUser.username, '-hmget');
    await expect(store.load('h')).rejects.toThrow(StoreUnavailable);
    await redis.command('ACL', 'SETUSER', aclUser.username, '+hmget');
    expect(await store.load('h')).toBeNull();
  });

  test('that may not hear the messages is told of once, and hears them as soon as it may (SES-16)', async () => {
    await makeAclUser([redis]);
    await redis.command('ACL', 'SETUSER', aclUser.username, 'resetchannels');
    const refusals: unknown[] = [];
    const store = open({ url: redis.url, ...aclUser, onMessagesRefused: (cause) => refusals.push(cause) });
    const heard: string[] = [];
    store.subscribe(hearing(({ h }) => heard.push(h)));
    await until(() => refusals.length > 0);
    await expect(store.ping()).rejects.toMatchObject({ cause: { message: expect.stringContaining('NOPERM') } });
    expect(store.listening()).toBe(false);
    // A session can be ended all the same.
    expect(await store.end('h', 'logout')).toBe(false);
    expect(heard).toEqual([]);

    await redis.command('ACL', 'SETUSER', aclUser.username, '&postern:*');
    await until(() => store.listening());
    await store.end('h', 'logout');
    await until(() => heard.includes('h'));
    expect(refusals).toHaveLength(1);
  });
});

/** The first byte of a TLS connection (RFC 8446, 5.1). */
const tlsHandshake = 0x16;

/** A listener that keeps the first bytes of each connection and answers nothing. */
async function startEavesdropper() {
  const heard: Buffer[] = [];
  const listener = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes: Buffer) => {
      heard.push(bytes);
      socket.destroy();
    });
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    heard,
    port: (listener.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await Promise.resolve();
    },
  };
}

/** A sentinel over TLS that names one primary, whatever it is asked. */
async function startNamingSentinel(primaryPort: number) {
  const listener = createTlsServer({ cert: server.cert, key: server.key }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      const commands = bytes.toString().split(/^\*/m).slice(1);
      for (const command of commands) {
        if (command.includes('get-master-addr-by-name')) {
          socket.write(`*2\r\n$9\r\n127.0.0.1\r\n$${String(primaryPort).length}\r\n${primaryPort}\r\n`);
        } else if (command.includes('sentinels')) socket.write('*0\r\n');
        else socket.write('+OK\r\n');
      }
    });
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await Promise.resolve();
    },
  };
}
