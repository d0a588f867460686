// The house under attack: one Redis, one provider, three replicas, each behind a link of its own, and a crowd of users who never stop calling.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { decodeJwt } from 'jose';
import { startFaultProxy } from '../support/fault-proxy.ts';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { freePort } from '../support/free-port.ts';
import { baseConfig, register, startPosternProcess } from '../support/postern.ts';
import type { ConfigInput, PosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';

export const replicaCount = 3;
/** Short, so that every fault meets refreshes. */
const accessTokenTtlSeconds = 5;

export interface Replica {
  process: PosternProcess;
  /** Its way to Redis. */
  link: FaultProxy;
}

export interface House {
  redis: RedisServer;
  provider: RealProvider;
  replicas: Replica[];
  /** A new process in the place of one that has died. */
  replace(index: number): Promise<void>;
  close(): Promise<void>;
}

/** Starts everything. The API behind it answers with the name of the user whose token it was given. */
export async function startHouse(): Promise<House> {
  const api = createServer((request, response) => {
    const token = String(request.headers.authorization).slice('Bearer '.length);
    response.end(decodeJwt(token).sub);
  }).listen(0, '127.0.0.1');
  await once(api, 'listening');
  const upstream = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
  const redis = await startRedis('--appendonly', 'yes', '--appendfsync', 'always');
  const provider = await startRealProvider({ accessTokenTtlSeconds, audience: 'https://api.example.test' });
  const shared: ConfigInput = baseConfig(await freePort(), provider, {
    routes: [{ path: '/api', upstream }],
    log: { level: 'warn', format: 'json' },
  });
  register(provider, String(shared['publicUrl']));

  async function start(link: FaultProxy): Promise<PosternProcess> {
    return startPosternProcess({
      ...shared,
      listen: '127.0.0.1:0',
      redis: { url: `redis://127.0.0.1:${link.port}` },
      log: { level: 'info', format: 'json', access: false },
    });
  }

  const replicas: Replica[] = [];
  for (let index = 0; index < replicaCount; index += 1) {
    const link = await startFaultProxy(redis);
    replicas.push({ link, process: await start(link) });
  }

  return {
    redis,
    provider,
    replicas,
    async replace(index) {
      const replica = replicas[index]!;
      replica.process = await start(replica.link);
    },
    async close() {
      redis.thaw();
      await Promise.all(replicas.map(({ process }) => process.stop()));
      await Promise.all(replicas.map(({ link }) => link.close()));
      await provider.close();
      await redis[Symbol.asyncDispose]();
      api.closeAllConnections();
      api.close();
    },
  };
}

/** Lets a fault last. */
export const lasting = (ms: number): Promise<void> => pause(ms);
