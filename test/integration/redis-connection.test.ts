// The connections to Redis: in order under load and in disorder, what they hear, and how they are closed.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { StoreMessage } from '../../src/store/store.ts';
import type { RedisServer } from '../support/redis.ts';
import { isUp, startRedisStores, timeToFail, type RedisStores } from '../support/redis-stores.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import type { Stopwatch } from '../support/stopwatch.ts';
import { hasListeners, hearing } from '../support/stores.ts';
import { h, login, other } from '../support/token-record.ts';
import { until } from '../support/until.ts';

let stores: RedisStores;
let redis: RedisServer;
let watch: Stopwatch;
beforeEach(async () => {
  watch = startStopwatch();
  stores = await startRedisStores();
  ({ redis } = stores);
});
afterEach(async () => {
  watch.stop();
  await stores[Symbol.asyncDispose]();
});

test('what is asked at the same time goes to Redis in one write', async () => {
  const store = await stores.opened();
  await store.put(h, login);
  const reads = async () =>
    Number(/total_reads_processed:(\d+)/.exec(String(await redis.command('INFO', 'stats')))?.[1]);
  await store.load(h);
  const before = await reads();
  await Promise.all(Array.from({ length: 1_000 }, () => store.load(h)));
  // The server takes at most 16 KB at a time, and ticks are among them.
  expect((await reads()) - before).toBeLessThan(30);
});

describe('messages', () => {
  test('of other processes arrive, of one database as of another', async () => {
    const [here, there] = [stores.open(), stores.open()];
    const heard: StoreMessage[] = [];
    here.subscribe(hearing((message) => heard.push(message)));
    await until(() => hasListeners(redis, 2));
    await there.put(h, login);
    await there.commit({ h, revision: 1, owner: 'a' }, { main: 'new', expiresInMs: 1_000 });
    await until(() => heard.length > 0);
    expect(heard).toEqual([{ what: 'refreshed', h, revision: 2 }]);
  });

  test('that nobody of us wrote are passed over', async () => {
    const store = stores.open();
    const heard: StoreMessage[] = [];
    store.subscribe(hearing((message) => heard.push(message)));
    await until(() => hasListeners(redis, 1));
    const foreign = [
      '',
      'garbage',
      'null',
      '[]',
      '"ended"',
      '{"what":"ended"}',
      `{"what":"ended","h":"${h}"}`,
      `{"what":"ended","h":"${h}","reason":"toString"}`,
      `{"what":"ended","h":7,"reason":"logout"}`,
      `{"what":"refreshed","h":"${h}"}`,
      `{"what":"refreshed","h":"${h}","revision":"2"}`,
      `{"what":"constructor","h":"${h}","revision":2}`,
    ];
    for (const text of foreign) await redis.command('PUBLISH', 'postern:messages', text);
    await store.end(h, 'logout');
    await until(() => heard.length > 0);
    expect(heard).toEqual([{ what: 'ended', h, reason: 'logout' }]);
  });
});

describe('the connection', () => {
  test('whose answers have shifted gives nobody the session of somebody else (ST-01, ST-02)', async () => {
    const direct = stores.open();
    await direct.put(h, { ...login, main: 'of-alice' });
    await direct.put(other, { ...login, main: 'of-bob' });
    await direct.writeSession(h, '"alice"', 60);
    await direct.writeSession(other, '"bob"', 60);

    await using wire = await startWire(redis.port);
    const store = stores.open({ url: `redis://127.0.0.1:${wire.port}` });
    expect(await store.load(h)).toMatchObject({ main: 'of-alice' });
    expect(await store.load(other)).toMatchObject({ main: 'of-bob' });
    expect(await store.readSession(other)).toBe('"bob"');

    wire.repeatNext();
    expect(await store.load(h)).toMatchObject({ main: 'of-alice' });
    // Its answer now stands in line for the next question, whoever asks.
    await timeToFail(store.load(other));
    await until(isUp(store));
    expect(await store.load(other)).toMatchObject({ main: 'of-bob' });

    wire.repeatNext();
    expect(await store.readSession(h)).toBe('"alice"');
    await timeToFail(store.readSession(other));
    await until(isUp(store));
    expect(await store.readSession(other)).toBe('"bob"');
  });

  test('for messages is made anew with the other one, when a firewall forgot both without a word', async () => {
    await using wire = await startWire(redis.port);
    const [here, there] = [stores.open({ url: `redis://127.0.0.1:${wire.port}` }), stores.open()];
    const heard: StoreMessage[] = [];
    here.subscribe(hearing((message) => heard.push(message)));
    await until(() => hasListeners(redis, 2));
    wire.forget();
    await timeToFail(here.ping());
    await until(isUp(here));
    await until(async () => {
      await there.end(h, 'logout');
      return heard.length > 0;
    });
  });

  test('answers what is under way before it is closed', async () => {
    const store = await stores.opened();
    await store.put(h, login);
    await store.load(h);
    const loading = Array.from({ length: 50 }, () => store.load(h));
    await store.close();
    for (const record of await Promise.all(loading)) expect(record).toMatchObject({ revision: 1 });
  });

  test('that is closed leaves nothing behind, on either side', async () => {
    const before = openSockets();
    const store = await stores.opened();
    await store.ping();
    await until(() => hasListeners(redis, 1));
    await store.close();
    await until(() => openSockets() <= before);
    await until(async () => !String(await redis.command('CLIENT', 'LIST')).includes('name=postern'));
    await timeToFail(store.load(h));
  });

  test('closes in an outage too, frozen or stopped', async () => {
    const before = openSockets();
    const [frozen, stopped] = [stores.open(), stores.open()];
    await frozen.ping();
    await stopped.ping();
    redis.freeze();
    const from = performance.now();
    await frozen.close();
    expect(watch.betweenMs(from, performance.now())).toBeLessThan(1_500);
    await redis.stop();
    await timeToFail(stopped.ping());
    await stopped.close();
    await until(() => openSockets() <= before);
  });
});

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
}

/** A wire to Redis that can say an answer twice, as to a driver that lost count, and fall silent without closing. */
async function startWire(port: number) {
  let repeating = false;
  const pairs = new Set<{ client: Socket; upstream: Socket; dead: boolean }>();
  const server = createServer((client) => {
    const pair = { client, upstream: connect(port, '127.0.0.1'), dead: false };
    const { upstream } = pair;
    pairs.add(pair);
    for (const socket of [client, upstream]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (pair.dead) return;
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (bytes) => {
      if (!pair.dead) upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (pair.dead) return;
      client.write(bytes);
      if (!repeating) return;
      repeating = false;
      // Apart from the answer itself: the driver takes it for the answer to what it asks next.
      client.once('data', () => client.write(bytes));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    repeatNext: () => (repeating = true),
    /** Today's connections stay open and carry nothing any more; new ones work. */
    forget() {
      for (const pair of pairs) pair.dead = true;
    },
    async [Symbol.asyncDispose]() {
      for (const { client, upstream } of pairs) {
        client.destroy();
        upstream.destroy();
      }
      server.close();
      await once(server, 'close');
    },
  };
}
