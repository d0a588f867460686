// The wiring of one configuration, and the table of every endpoint on one screen. What a lower file needs from above it gets here, as a parameter.
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, RequestListener } from 'node:http';
import type { Config } from './config/schema.ts';
import { createEndpoints } from './http/endpoints.ts';
import type { Endpoint } from './http/endpoints.ts';
import { createErrorResponse } from './http/error-response.ts';
import type { SendError } from './http/error-response.ts';
import { createRequestContexts } from './http/request-context.ts';
import type { RequestContext } from './http/request-context.ts';
import { createSecurityHeaders } from './http/security-headers.ts';
import { createAdminSessions } from './login/admin-sessions.ts';
import { createBackchannelLogout } from './login/backchannel-logout.ts';
import { createCallback } from './login/callback.ts';
import { createEndSession } from './login/end-session.ts';
import { createEndpointErrors } from './login/endpoint-errors.ts';
import { createEvents } from './login/events.ts';
import { createFrontchannelLogout } from './login/frontchannel-logout.ts';
import { createLoginCounter } from './login/login-counter.ts';
import { createLogin } from './login/login.ts';
import { createLogoutCallback, createLogoutContinue } from './login/logout-continue.ts';
import { createLogoutTickets } from './login/logout-ticket.ts';
import { createLogout, revokesAtLogout } from './login/logout.ts';
import { createOwnPagesGate } from './login/own-pages.ts';
import { createOwnSessions } from './login/own-sessions.ts';
import { createPendingLogins } from './login/pending-login.ts';
import { createRefreshNow } from './login/refresh-now.ts';
import { createSessionLimit } from './login/session-limit.ts';
import { createSessionDescription, createWhoAmI } from './login/who-am-i.ts';
import { createProvider } from './oidc/openid-provider.ts';
import { createApiLane } from './proxy/api-lane.ts';
import type { ApiLane } from './proxy/api-lane.ts';
import { createUpstreamAgents } from './proxy/forward.ts';
import { createRouteTable } from './proxy/routes.ts';
import type { RouteTable } from './proxy/routes.ts';
import { createSpa } from './proxy/spa.ts';
import type { Spa } from './proxy/spa.ts';
import { createSessionCookie, hashOf } from './session/cookie.ts';
import { createEndMarkers } from './session/end-markers.ts';
import { createSessionIndex } from './session/session-index.ts';
import { createSessions } from './session/session.ts';
import { createStreams } from './session/streams.ts';
import { createMemoryStore } from './store/memory.ts';
import { redisSettings } from './store/redis-settings.ts';
import { createRedisStore } from './store/redis.ts';
import type { Store } from './store/store.ts';
import type { Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';
import { createAccessTokens } from './tokens/access-token.ts';
import type { KeyRing } from './tokens/key-ring.ts';
import { createBox, createTicketBox, createTokenSeal } from './tokens/seal.ts';
import { createTokenVault } from './tokens/token-vault.ts';

/** Everything that answers on the public listener, and what operators ask about it. */
export interface App {
  /** Begins a request: who asks, under which id. */
  begin(request: IncomingMessage): RequestContext;
  /** The endpoints under the base path. */
  express: RequestListener;
  routes: RouteTable;
  lane: ApiLane;
  /** What is neither ours nor an API's: the app, if Postern serves it. */
  spa: Spa;
  sendProblem: SendError;
  /** /admin on the operations listener, once it is switched on. */
  admin: RequestListener | undefined;
  /** Whether the store has been reached once since the start: a replica that cannot must not replace one that can. */
  started(): boolean;
  parts(): Record<'store' | 'provider', 'up' | 'down'>;
  /** Ends what would stay open for hours; browsers come back to another replica. */
  closeStreams(): void;
  close(): Promise<void>;
}

export interface AppOptions {
  config: Config;
  /** Made from `config.session.keys`; it changes with their files. */
  ring: KeyRing;
  metrics: Metrics;
  log: Logger;
}

// Epoch ms that never goes backwards: a clock that is set back must not make tokens live longer.
const now = (): number => Math.floor(performance.timeOrigin + performance.now());
const randomId = (): string => randomBytes(32).toString('base64url');

export function createApp({ config, ring, metrics, log }: AppOptions): App {
  const { publicUrl, basePath, session, provider: registration } = config;
  const at = (path: string): string => basePath + path;
  const cookie = createSessionCookie({
    publicUrl,
    baseName: config.cookie.name,
    sameSite: config.cookie.sameSite,
    maxAgeMs: config.cookie.persistent ? session.absoluteTimeout * 1000 : undefined,
    secrets: () => ring.cookieSecrets(),
  });
  const securityHeaders = createSecurityHeaders({
    https: publicUrl.startsWith('https:'),
    strictTransportSecurity: config.strictTransportSecurity,
  });
  const { sendProblem, sendErrorPage } = createErrorResponse({ securityHeaders, loginUrl: at('/login'), homeUrl: '/' });

  const { store, reached } = createStore(config, log);
  const provider = createProvider({
    settings: registration,
    redirectUri: publicUrl + at('/callback'),
    postLogoutRedirectUri: publicUrl + at('/logout/callback'),
    idTokenHint: config.logout.idTokenHint,
    now,
    random: randomBytes,
    log,
  });
  const vault = createTokenVault({
    store,
    seal: createTokenSeal(ring),
    hashOf,
    registration,
    lifetimes: { idleMs: session.idleTimeout * 1000, absoluteMs: session.absoluteTimeout * 1000 },
    nearCache: session.nearCache,
    tokensNeeded: config.routes.some(({ auth, token }) => auth !== 'none' && token !== 'none'),
    now,
    metrics,
    log,
  });
  const refreshBeforeMs = session.refreshBefore * 1000;
  const accessTokens = createAccessTokens({ store, vault, provider, refreshBeforeMs, now, randomId, metrics, log });
  const streams = createStreams({
    store,
    limits: { perSession: 32, perProcess: config.limits.streams },
    now,
    random: Math.random,
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

  const routes = createRouteTable(config.routes);
  const agents = createUpstreamAgents();
  const lane = createApiLane({
    routes: routes.routes,
    publicUrl,
    requireHeader: config.csrf.requireHeader,
    cookie,
    tokens: accessTokens,
    vault,
    agents,
    securityHeaders: securityHeaders.proxied,
    sendProblem,
    metrics,
    log,
  });
  const isReserved = (path: string): boolean =>
    path === basePath || path.startsWith(`${basePath}/`) || routes.match(path).kind !== 'none';
  const rule = { origin: publicUrl, requireHeader: config.csrf.requireHeader, typedUrl: false, navigation: true };
  const requireOwnPages = createOwnPagesGate({ rule, metrics });
  const pendingLogins = createPendingLogins({ cookie, box: createBox(ring, 'transaction'), store, now, randomId });
  const tickets = createLogoutTickets({ store, box: createTicketBox(ring), randomId });
  const sessions = createSessions({
    store,
    cookie,
    secrets: () => ring.cookieSecrets(),
    idleSeconds: session.idleTimeout,
  });
  const index = createSessionIndex({ store, absoluteSeconds: session.absoluteTimeout });
  const markers = createEndMarkers({ store });
  const endSession = createEndSession({ index, vault });
  const ownSessions = createOwnSessions({ cookie, vault, index, endSession, requireOwnPages });
  const describe = createSessionDescription({ accessTokens, claimNames: session.claims });

  const frontchannelLogout: Endpoint = {
    method: 'GET',
    path: '/frontchannel-logout',
    handler: createFrontchannelLogout({ issuer: registration.issuer, provider, index, endSession }),
  };
  const endpoints: Endpoint[] = [
    // Log in: out to the provider, and back.
    {
      method: 'GET',
      path: '/login',
      handler: createLogin({
        provider,
        pendingLogins,
        loginCounter: createLoginCounter({ cookie, now }),
        cookie,
        securityHeaders,
        settings: config.login,
        origin: publicUrl,
        loginPath: at('/login'),
        isReserved,
      }),
    },
    {
      method: 'GET',
      path: '/callback',
      handler: createCallback({
        provider,
        pendingLogins,
        sessions,
        vault,
        index,
        markers,
        endSession,
        limitSessions: createSessionLimit({ most: session.maxPerUser, index, endSession, log }),
        cookie,
        securityHeaders,
        errorUrl: config.login.errorUrl,
        origin: publicUrl,
        paths: { callback: at('/callback'), login: at('/login'), session: at('/session') },
        clientId: registration.clientId,
        claimNames: session.claims,
        now,
        randomId,
        metrics,
        log,
      }),
    },
    // While signed in.
    {
      method: 'GET',
      path: '/session',
      handler: createWhoAmI({ cookie, vault, describe, requireOwnPages, loginPath: at('/login') }),
    },
    {
      method: 'POST',
      path: '/refresh',
      handler: createRefreshNow({ cookie, accessTokens, vault, describe, requireOwnPages }),
    },
    {
      method: 'GET',
      path: '/events',
      handler: createEvents({
        cookie,
        vault,
        streams,
        requireOwnPages: createOwnPagesGate({ rule: { ...rule, requireHeader: false }, metrics }),
        random: Math.random,
        heartbeatMs: 15_000,
        metrics,
      }),
    },
    // Where else this user is logged in.
    { method: 'GET', path: '/sessions', handler: ownSessions.list },
    { method: 'DELETE', path: '/sessions', handler: ownSessions.endOthers },
    { method: 'DELETE', path: '/sessions/:handle', handler: ownSessions.endOne },
    // Log out: here first, then at the provider.
    {
      method: 'POST',
      path: '/logout',
      handler: createLogout({
        cookie,
        vault,
        endSession,
        provider,
        tickets,
        requireOwnPages,
        continuePath: at('/logout/continue'),
        revokes: revokesAtLogout(config.logout.revoke, registration.issuer),
        log,
      }),
    },
    {
      method: 'GET',
      path: '/logout/continue',
      handler: createLogoutContinue({ provider, tickets, securityHeaders, returnTo: config.logout.returnTo, randomId }),
    },
    { method: 'GET', path: '/logout/callback', handler: createLogoutCallback({ returnTo: config.logout.returnTo }) },
    // The provider has logged somebody out.
    {
      method: 'POST',
      path: '/backchannel-logout',
      handler: createBackchannelLogout({ provider, markers, index, endSession, log }),
    },
    ...(config.logout.frontChannel ? [frontchannelLogout] : []),
  ];

  const express = createEndpoints({
    basePath,
    endpoints,
    securityHeaders,
    onError: createEndpointErrors({ sendProblem, sendErrorPage, log }),
  });
  const spa = createSpa({
    settings: config.spa,
    publicUrl,
    cookie,
    agents,
    securityHeaders,
    endSessionOrigins: () => [provider.endSessionOrigin() ?? []].flat(),
    sendProblem,
    log,
  });

  return {
    begin: createRequestContexts({
      trusted: config.trustedProxies,
      randomId: () => randomBytes(12).toString('base64url'),
      monotonicNow: () => performance.now(),
    }),
    express,
    routes,
    lane,
    spa,
    sendProblem,
    admin:
      config.operations.admin &&
      createAdminSessions({
        token: config.operations.admin.token,
        issuer: registration.issuer,
        index,
        endSession,
        log,
      }),
    started: () => reached.once,
    parts: () => ({ store: reached.now ? 'up' : 'down', provider: provider.ready() ? 'up' : 'down' }),
    closeStreams: () => streams.drain(),
    async close() {
      // A refresh token that has just been rotated exists only here until it is written.
      await accessTokens.drain();
      vault.close();
      agents.close();
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
