// Postern with what it needs to work: a real provider, where people sign in, and a Redis, where their sessions are.
import { startPostern } from './postern.ts';
import type { ConfigInput, LocalPostern } from './postern.ts';
import { startRealProvider } from './real-provider.ts';
import type { RealProvider } from './real-provider.ts';
import { startRedis } from './redis.ts';
import type { RedisServer } from './redis.ts';

export interface Installation {
  provider: RealProvider;
  redis: RedisServer;
  postern: LocalPostern;
  /** Names of all that stands in Redis. */
  keys(): Promise<string[]>;
  /** Nobody is signed in any more, and nothing has been asked of the provider. */
  clear(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startInstallation(overrides: ConfigInput = {}): Promise<Installation> {
  const [provider, redis] = await Promise.all([startRealProvider(), startRedis()]);
  const postern = await startPostern(provider, { redis: { url: redis.url }, ...overrides });
  return {
    provider,
    redis,
    postern,
    keys: async () => (await redis.command('KEYS', '*')) as string[],
    async clear() {
      await redis.command('FLUSHALL');
      provider.endpoints.requests.length = 0;
    },
    async [Symbol.asyncDispose]() {
      await postern.stop();
      await provider.close();
      await redis[Symbol.asyncDispose]();
    },
  };
}
