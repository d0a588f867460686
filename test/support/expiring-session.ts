// Somebody whose access token expires when a test says so: a provider that rotates, a Postern on it, and a user, for one claim alone. So claims can wait for
// their tokens side by side.
import { startPostern } from './postern.ts';
import type { LocalPostern } from './postern.ts';
import { startRealProvider } from './real-provider.ts';
import type { RealProvider } from './real-provider.ts';
import type { RedisServer } from './redis.ts';
import { signIn } from './signed-in.ts';
import type { SignedIn } from './signed-in.ts';
import { expireToken } from './token-age.ts';
import type { RecordingUpstream } from './upstream.ts';

export interface ExpiringSession {
  provider: RealProvider;
  postern: LocalPostern;
  alice: SignedIn;
  /** Her access token expires: in real time where sessions are in memory. */
  expiry: () => Promise<void>;
  /** How many token calls spent a refresh token. */
  refreshes: () => number;
}

export interface ExpiringSessionOptions {
  sessions: 'memory' | 'redis';
  redis: RedisServer;
  /** Behind `/api`, and without a token behind `/plain`. */
  api: RecordingUpstream;
  /** Of the access token of the login where sessions are in memory; all others live for five minutes. */
  lifetimeSeconds?: number;
}

export async function withExpiringSession(
  { sessions, redis, api, lifetimeSeconds = 8 }: ExpiringSessionOptions,
  claim: (session: ExpiringSession) => Promise<void>,
): Promise<void> {
  const inMemory = sessions === 'memory';
  const provider = await startRealProvider(inMemory ? { accessTokenTtlSeconds: lifetimeSeconds } : {});
  const routes = [
    { path: '/api', upstream: api.url },
    { path: '/plain', upstream: api.url, token: 'none' },
  ];
  const postern = await startPostern(provider, { routes, ...(!inMemory && { redis: { url: redis.url } }) });
  try {
    const alice = await signIn(postern, provider);
    provider.lifetime.accessTokenSeconds = 300;
    await claim({
      provider,
      postern,
      alice,
      expiry: () => (inMemory ? alice.untilExpired() : expireToken(alice, redis, [postern])),
      refreshes: () => provider.endpoints.seen('token', 'refresh_token').length,
    });
  } finally {
    provider.endpoints.behaviours.token.recover();
    await postern.stop();
    await provider.close();
  }
}
