// What lives as long as the process, wired: the store, the provider, the vault and the one refresh, the register of streams.
// What of it can change with the configuration follows; the rest is in config/fixed-keys.ts.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { plainText } from './config/fixed-keys.ts';
import { needsTokens } from './config/route-schema.ts';
import type { Config } from './config/schema.ts';
import { createDiscardToken, createRevokeEnded, revokesAtLogout } from './login/revoke-ended.ts';
import type { DiscardToken, RevokeEnded } from './login/revoke-ended.ts';
import { createProviderObserver, observeProvider } from './oidc/observed-provider.ts';
import { createProvider } from './oidc/openid-provider.ts';
import type { Provider } from './oidc/provider.ts';
import { createReplaceableProvider } from './oidc/replaceable-provider.ts';
import { createCounts } from './proxy/limits.ts';
import { observeConnections } from './proxy/observed-connections.ts';
import { upstreamsOf } from './proxy/routes.ts';
import { createUpstreamConnections } from './proxy/upstream-connections.ts';
import type { UpstreamConnections } from './proxy/upstream-connections.ts';
import { createSessionCookie, hashOf } from './session/cookie.ts';
import type { SessionCookie } from './session/cookie.ts';
import { createStreams } from './session/streams.ts';
import type { Streams } from './session/streams.ts';
import { handleOf } from './session/handles.ts';
import { createConfiguredStore } from './store/configured-store.ts';
import { observeStore } from './store/observed-store.ts';
import { redisPasswords } from './store/redis-settings.ts';
import type { Store } from './store/store.ts';
import { createAudit } from './telemetry/audit.ts';
import type { Audit } from './telemetry/audit.ts';
import { moduleLog, setLevels } from './telemetry/log.ts';
import type { Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';
import type { Tracing } from './telemetry/tracing.ts';
import { createAccessTokens } from './tokens/access-token.ts';
import type { AccessTokens } from './tokens/access-token.ts';
import { attemptDeadlineMs } from './tokens/attempts.ts';
import type { KeyRing } from './tokens/key-ring.ts';
import { createTokenSeal } from './tokens/seal.ts';
import { createTokenVault } from './tokens/token-vault.ts';
import type { TokenVault } from './tokens/token-vault.ts';

export interface PartsOptions {
  config: Config;
  /** Made from `config.session.keys`; it changes with their files. */
  ring: KeyRing;
  /** Undefined unless spans are asked for. */
  tracing?: Tracing | undefined;
  metrics: Metrics;
  log: Logger;
}

export interface Parts extends Omit<PartsOptions, 'config'> {
  audit: Audit;
  cookie: SessionCookie;
  store: Store;
  provider: Provider;
  vault: TokenVault;
  accessTokens: AccessTokens;
  revokeEnded: RevokeEnded;
  discardToken: DiscardToken;
  streams: Streams;
  connections: UpstreamConnections;
  counts: ReturnType<typeof createCounts>;
  /** Whether the store has been reached once since the start: a replica that cannot must not replace one that can. */
  started(): boolean;
  states(): Record<'store' | 'provider', 'up' | 'down'>;
  /** Goes by another configuration from now on. Its fixed keys are those of the first. Throws, and changes nothing, when a file it names cannot be read. */
  follow(config: Config): void;
  /** Lets go of what a generation has opened that did not come about. */
  forgo(): void;
  close(): Promise<void>;
}

const startedAt = performance.timeOrigin;

/** Epoch ms that never goes backwards: a clock that is set back must not make tokens live longer. */
export const now = (): number => Math.floor(startedAt + performance.now());

/** Ms that only go forward, from whenever: for spans. */
export const monotonicNow = (): number => performance.now();

/** 32 random bytes, safe in a URL. */
export const randomId = (): string => randomBytes(32).toString('base64url');

export function createParts(options: PartsOptions): Parts {
  const { config: first, ...shared } = options;
  const { ring, tracing, metrics, log } = shared;
  let current = first;
  const { publicUrl, basePath, provider: registration } = first;
  const cookie = createSessionCookie({
    publicUrl,
    baseName: first.cookie.name,
    sameSite: first.cookie.sameSite,
    maxAgeMs: () => (first.cookie.persistent ? current.session.absoluteTimeout * 1000 : undefined),
    secrets: () => ring.cookieSecrets(),
  });
  setLevels(log, first.log);
  const audit = createAudit({ log: moduleLog(log, 'audit'), handleOf });
  const logs = { tokens: moduleLog(log, 'tokens'), oidc: moduleLog(log, 'oidc'), store: moduleLog(log, 'store') };
  const configured = createConfiguredStore(first.redis, { now, audit, log: logs.store });
  const { reached } = configured;
  const store = observeStore(configured.store, {
    metrics,
    log: logs.store,
    tracing,
    onEnded(h, reason) {
      metrics.logouts.inc({ reason });
      audit('session_ended', { h, issuer: registration.issuer, reason });
    },
    now: monotonicNow,
  });
  const createClient = ({ provider, logout }: Config) =>
    createProvider({
      settings: provider,
      redirectUri: `${publicUrl}${basePath}/callback`,
      postLogoutRedirectUri: `${publicUrl}${basePath}/logout/callback`,
      idTokenHint: logout.idTokenHint,
      now,
      wallNow: Date.now,
      random: randomBytes,
      observer: createProviderObserver({ metrics, log: logs.oidc }),
      log: logs.oidc,
    });
  let clientSettings = clientSettingsOf(first);
  const client = createReplaceableProvider(createClient(first));
  const provider = observeProvider(client, { metrics, tracing, now: monotonicNow });
  const streams = createStreams({
    store,
    limits: () => ({
      events: { perSession: 32, perProcess: current.limits.streams },
      websocket: { perSession: current.limits.websocketsPerSession, perProcess: current.limits.websockets },
    }),
    now,
    random: Math.random,
  });
  const revokes = (): boolean => revokesAtLogout(current.logout.revoke, registration.issuer);
  const revokeEnded = createRevokeEnded({ provider, store, revokes, randomId });
  const discardToken = createDiscardToken({ provider, revokes });
  const vault = createTokenVault({
    store,
    seal: createTokenSeal(ring),
    hashOf,
    registration,
    nearCache: first.session.nearCache,
    tokensNeeded: () => needsTokens(current),
    onEnd: (h, reason) => streams.endAll(h, reason),
    onHeldEnd: revokeEnded,
    now,
    metrics,
    log: logs.tokens,
  });
  const accessTokens = createAccessTokens({
    store,
    vault,
    provider,
    discardToken,
    refreshBeforeMs: () => current.session.refreshBefore * 1000,
    now,
    randomId,
    metrics,
    audit,
    log: logs.tokens,
  });
  const proxyLog = moduleLog(log, 'proxy');
  const connections = observeConnections(createUpstreamConnections({ audit }), {
    metrics,
    log: proxyLog,
    tracing,
    now: monotonicNow,
  });

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
    ...shared,
    audit,
    cookie,
    store,
    provider,
    vault,
    accessTokens,
    revokeEnded,
    discardToken,
    streams,
    connections,
    counts: createCounts(),
    started: () => reached.once,
    states: () => ({ store: reached.now ? 'up' : 'down', provider: provider.ready() ? 'up' : 'down' }),
    follow(config) {
      const passwords = config.redis && redisPasswords(config.redis);
      const settings = clientSettingsOf(config);
      if (settings !== clientSettings) client.replaceBy(createClient(config));
      clientSettings = settings;
      ring.replace(config.session.keys.map((key) => key.reveal()));
      setLevels(log, config.log);
      if (passwords !== undefined) configured.connectWith(passwords);
      connections.keepOnly(upstreamsOf(config));
      current = config;
    },
    forgo: () => connections.keepOnly(upstreamsOf(current)),
    async close() {
      // A refresh token that has just been rotated exists only here until it is written.
      await accessTokens.drain(attemptDeadlineMs);
      vault.close();
      connections.close();
      await provider.close();
      await store.close();
    },
  };
}

/** All that a client of the provider is made from, to be compared. */
function clientSettingsOf({ provider, logout }: Config): string {
  return plainText([provider, logout.idTokenHint, provider.tls && readFileSync(provider.tls.ca.file, 'utf8')]);
}
