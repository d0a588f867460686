// What lives as long as the process, wired: the store, the provider, the vault and the one refresh, the register of streams.
import { randomBytes } from 'node:crypto';
import type { Config } from './config/schema.ts';
import { createRevokeEnded, revokesAtLogout } from './login/revoke-ended.ts';
import type { RevokeEnded } from './login/revoke-ended.ts';
import { createProvider } from './oidc/openid-provider.ts';
import type { Provider } from './oidc/provider.ts';
import { createUpstreamConnections } from './proxy/upstream-connections.ts';
import type { UpstreamConnections } from './proxy/upstream-connections.ts';
import { createSessionCookie, hashOf } from './session/cookie.ts';
import type { SessionCookie } from './session/cookie.ts';
import { createStreams } from './session/streams.ts';
import type { Streams } from './session/streams.ts';
import { createMemoryStore } from './store/memory.ts';
import { redisSettings } from './store/redis-settings.ts';
import { createRedisStore } from './store/redis.ts';
import type { Store } from './store/store.ts';
import type { Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';
import { createAccessTokens } from './tokens/access-token.ts';
import type { AccessTokens } from './tokens/access-token.ts';
import type { KeyRing } from './tokens/key-ring.ts';
import { createTokenSeal } from './tokens/seal.ts';
import { createTokenVault } from './tokens/token-vault.ts';
import type { TokenVault } from './tokens/token-vault.ts';

export interface PartsOptions {
  config: Config;
  /** Made from `config.session.keys`; it changes with their files. */
  ring: KeyRing;
  metrics: Metrics;
  log: Logger;
}

export interface Parts extends PartsOptions {
  cookie: SessionCookie;
  store: Store;
  /** Whether the store was reached once since the start, and whether it is now. */
  reached: Readonly<{ once: boolean; now: boolean }>;
  provider: Provider;
  vault: TokenVault;
  accessTokens: AccessTokens;
  revokeEnded: RevokeEnded;
  streams: Streams;
  connections: UpstreamConnections;
  close(): Promise<void>;
}

/** Epoch ms that never goes backwards: a clock that is set back must not make tokens live longer. */
export const now = (): number => Math.floor(performance.timeOrigin + performance.now());

/** 32 random bytes, safe in a URL. */
export const randomId = (): string => randomBytes(32).toString('base64url');

export function createParts(options: PartsOptions): Parts {
  const { config, ring, metrics, log } = options;
  const { publicUrl, basePath, session, provider: registration } = config;
  const cookie = createSessionCookie({
    publicUrl,
    baseName: config.cookie.name,
    sameSite: config.cookie.sameSite,
    maxAgeMs: config.cookie.persistent ? session.absoluteTimeout * 1000 : undefined,
    secrets: () => ring.cookieSecrets(),
  });
  const { store, reached } = createStore(config, log);
  const provider = createProvider({
    settings: registration,
    redirectUri: `${publicUrl}${basePath}/callback`,
    postLogoutRedirectUri: `${publicUrl}${basePath}/logout/callback`,
    idTokenHint: config.logout.idTokenHint,
    now,
    wallNow: Date.now,
    random: randomBytes,
    log,
  });
  const streams = createStreams({
    store,
    limits: {
      events: { perSession: 32, perProcess: config.limits.streams },
      websocket: { perSession: config.limits.websocketsPerSession, perProcess: config.limits.websockets },
    },
    now,
    random: Math.random,
  });
  const revokes = revokesAtLogout(config.logout.revoke, registration.issuer);
  const revokeEnded = createRevokeEnded({ provider, store, revokes, randomId });
  const vault = createTokenVault({
    store,
    seal: createTokenSeal(ring),
    hashOf,
    registration,
    lifetimes: { idleMs: session.idleTimeout * 1000, absoluteMs: session.absoluteTimeout * 1000 },
    nearCache: session.nearCache,
    tokensNeeded: config.routes.some(({ auth, token }) => auth !== 'none' && token !== 'none'),
    onEnd: (h, reason) => streams.endAll(h, reason),
    onHeldEnd: revokeEnded,
    now,
    metrics,
    log,
  });
  const refreshBeforeMs = session.refreshBefore * 1000;
  const accessTokens = createAccessTokens({ store, vault, provider, refreshBeforeMs, now, randomId, metrics, log });
  const connections = createUpstreamConnections({ log });

  // Messages of every process fan out from here.
  store.subscribe({
    message(message) {
      // What is kept must be true before those who wait look at it.
      vault.message(message);
      accessTokens.notice(message);
      streams.notice(message);
    },
    silence() {
      vault.silence();
      streams.silence();
    },
    reconnect: () => vault.reconnect(),
  });

  return {
    ...options,
    cookie,
    store,
    reached,
    provider,
    vault,
    accessTokens,
    revokeEnded,
    streams,
    connections,
    async close() {
      // A refresh token that has just been rotated exists only here until it is written.
      await accessTokens.drain();
      vault.close();
      connections.close();
      await provider.close();
      await store.close();
    },
  };
}

function createStore(config: Config, log: Logger): { store: Store; reached: { once: boolean; now: boolean } } {
  if (config.redis === undefined) {
    return { store: createMemoryStore({ now }), reached: { once: true, now: true } };
  }
  const reached = { once: false, now: false };
  const store = createRedisStore({
    ...redisSettings(config.redis),
    now,
    random: Math.random,
    onStateChange(state, cause) {
      reached.now = state === 'up';
      reached.once ||= reached.now;
      if (reached.now) log.info('the session store is there');
      else
        log.warn({ err: cause }, 'the session store is out of reach: sessions are kept, calls that need one get 503');
    },
    onMessagesRefused: (cause) =>
      log.error(
        { err: cause },
        'the session store refuses its channel postern:messages: logouts elsewhere are seen only when the store is asked',
      ),
  });
  return { store, reached };
}
