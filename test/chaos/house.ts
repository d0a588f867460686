// The house under attack: one Redis, one provider, three replicas, each behind a link of its own, and a crowd of users who never stop calling.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
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

export interface Replica {
  process: PosternProcess;
  /** Its way to Redis. */
  link: FaultProxy;
}

export interface House {
  redis: RedisServer;
  provider: RealProvider;
  replicas: Replica[];
  /** Logout tokens that the provider has sent, newest last; who takes one to a replica is free to choose which. */
  logoutTokens: string[];
  /** A new process in the place of one that has died. */
  replace(index: number): Promise<void>;
  close(): Promise<void>;
}

/** Starts everything. The API behind it answers with the name of the user whose token it was given. Tokens live short, so that every fault meets refreshes. */
export async function startHouse({ accessTokenTtlSeconds = 5 } = {}): Promise<House> {
  const logoutTokens: string[] = [];
  const back = createServer((request, response) => {
    if (request.url !== '/logout-token') {
      response.end(decodeJwt(String(request.headers.authorization).slice('Bearer '.length)).sub);
      return;
    }
    void text(request).then((form) => {
      logoutTokens.push(new URLSearchParams(form).get('logout_token') ?? '');
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await once(back, 'listening');
  const upstream = `http://127.0.0.1:${(back.address() as AddressInfo).port}`;
  const redis = await startRedis('--appendonly', 'yes', '--appendfsync', 'always');
  const provider = await startRealProvider({
    accessTokenTtlSeconds,
    audience: 'https://api.example.test',
    backchannelLogoutUri: `${upstream}/logout-token`,
  });
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
    logoutTokens,
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
      back.closeAllConnections();
      back.close();
    },
  };
}
