// The endpoints under the base path, each given what it needs. app.ts says where they are.
import type { RequestListener } from 'node:http';
import type { RequestHandler } from 'express';
import type { Config } from './config/schema.ts';
import type { SecurityHeaders } from './http/security-headers.ts';
import { createAdminSessions } from './login/admin-sessions.ts';
import { createBackchannelLogout } from './login/backchannel-logout.ts';
import { createBeginSession } from './login/begin-session.ts';
import { createCallback } from './login/callback.ts';
import { createEndSession } from './login/end-session.ts';
import { createEvents } from './login/events.ts';
import { createFrontchannelLogout } from './login/frontchannel-logout.ts';
import { createLoginCounter } from './login/login-counter.ts';
import { atMostAtOnce } from './login/login-crowd.ts';
import { createLogin } from './login/login.ts';
import { createLogoutCallback, createLogoutContinue } from './login/logout-continue.ts';
import { createLogoutTickets } from './login/logout-ticket.ts';
import { createLogout } from './login/logout.ts';
import { createOwnPagesGate } from './login/own-pages.ts';
import { createOwnSessions } from './login/own-sessions.ts';
import { createPendingLogins } from './login/pending-login.ts';
import { createRefreshNow } from './login/refresh-now.ts';
import { createSessionLimit } from './login/session-limit.ts';
import { createSessionDescription, createWhoAmI } from './login/who-am-i.ts';
import { now, randomId } from './parts.ts';
import type { Parts } from './parts.ts';
import { createEndMarkers } from './session/end-markers.ts';
import { createSessionIndex } from './session/session-index.ts';
import { createSessions } from './session/session.ts';
import { moduleLog } from './telemetry/log.ts';
import { createBox, createTicketBox } from './tokens/seal.ts';

const heartbeatMs = 15_000;

export interface Handlers {
  login: RequestHandler;
  callback: RequestHandler;
  whoAmI: RequestHandler;
  refreshNow: RequestHandler;
  events: RequestHandler;
  ownSessions: Record<'list' | 'endOne' | 'endOthers', RequestHandler>;
  logout: RequestHandler;
  logoutContinue: RequestHandler;
  logoutCallback: RequestHandler;
  backchannelLogout: RequestHandler;
  frontchannelLogout: RequestHandler;
  /** On the operations listener; undefined unless it is switched on. */
  admin: RequestListener | undefined;
}

/** @param isReserved whether a path is Postern's own or an API's, so that no login ends there */
export function createHandlers(
  parts: Parts,
  options: { config: Config; securityHeaders: SecurityHeaders; isReserved: (path: string) => boolean },
): Handlers {
  const { ring, cookie, store, provider, vault, accessTokens, revokeEnded, discardToken, streams, metrics, audit } =
    parts;
  const log = moduleLog(parts.log, 'login');
  const { config, securityHeaders, isReserved } = options;
  const { publicUrl: origin, session, provider: registration } = config;
  const { issuer, clientId } = registration;
  const at = (path: string): string => config.basePath + path;

  const rule = { origin, requireHeader: config.csrf.requireHeader, typedUrl: false, navigation: true };
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
  const describe = createSessionDescription({ accessTokens, claimNames: session.claims });

  const login = createLogin({
    provider,
    pendingLogins,
    loginCounter: createLoginCounter({ cookie, now }),
    cookie,
    securityHeaders,
    settings: config,
    origin,
    loginPath: at('/login'),
    isReserved,
  });
  const beginSession = createBeginSession({
    sessions,
    vault,
    lifetimes: { idleMs: session.idleTimeout * 1000, absoluteMs: session.absoluteTimeout * 1000 },
    index,
    markers,
    endSession,
    discardToken,
    clientId,
    claimNames: session.claims,
    now,
    log,
  });
  const callback = createCallback({
    provider,
    pendingLogins,
    beginSession,
    endSession,
    limitSessions: createSessionLimit({ most: session.maxPerUser, index, endSession, log }),
    cookie,
    securityHeaders,
    errorUrl: config.login.errorUrl,
    origin,
    paths: { callback: at('/callback'), login: at('/login'), session: at('/session') },
    issuer,
    randomId,
    metrics,
    audit,
  });

  return {
    login: atMostAtOnce(config.limits.logins, login),
    callback: atMostAtOnce(config.limits.logins, callback),
    whoAmI: createWhoAmI({ cookie, vault, describe, requireOwnPages, loginPath: at('/login') }),
    refreshNow: createRefreshNow({ cookie, accessTokens, vault, describe, requireOwnPages }),
    events: createEvents({
      cookie,
      vault,
      streams,
      // EventSource cannot set a header.
      requireOwnPages: createOwnPagesGate({ rule: { ...rule, requireHeader: false }, metrics }),
      random: Math.random,
      heartbeatMs,
      metrics,
    }),
    ownSessions: createOwnSessions({ cookie, vault, index, endSession, requireOwnPages }),
    logout: createLogout({
      cookie,
      vault,
      endSession,
      revokeEnded,
      tickets,
      requireOwnPages,
      continuePath: at('/logout/continue'),
      clearSiteData: config.logout.clearSiteData,
      audit,
      log,
    }),
    logoutContinue: createLogoutContinue({
      provider,
      tickets,
      securityHeaders,
      returnTo: config.logout.returnTo,
      randomId,
    }),
    logoutCallback: createLogoutCallback({ returnTo: config.logout.returnTo }),
    backchannelLogout: createBackchannelLogout({ provider, markers, index, endSession, issuer, audit }),
    frontchannelLogout: createFrontchannelLogout({ issuer, provider, index, endSession }),
    admin:
      config.operations.admin &&
      createAdminSessions({ token: config.operations.admin.token, issuer, index, endSession, audit, log }),
  };
}
