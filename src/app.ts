// One generation: everything that answers, made from one configuration around the parts that outlive it. The table of every endpoint on one screen,
// and what stands beside it: the API lane, the app's files, the pages of errors.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, RequestListener } from 'node:http';
import { isUnder } from './config/path-prefix.ts';
import type { Config } from './config/schema.ts';
import type { ErrorCode } from './errors.ts';
import { createHandlers } from './handlers.ts';
import { createEndpoints } from './http/endpoints.ts';
import type { Endpoint } from './http/endpoints.ts';
import { createErrorResponse } from './http/error-response.ts';
import type { SendError } from './http/error-response.ts';
import { acceptedHosts } from './http/hosts.ts';
import { createRequestContexts } from './http/request-context.ts';
import type { RequestContext } from './http/request-context.ts';
import { createSecurityHeaders } from './http/security-headers.ts';
import { createEndpointErrors } from './login/endpoint-errors.ts';
import { monotonicNow, randomId } from './parts.ts';
import type { Parts } from './parts.ts';
import { createApiLane } from './proxy/api-lane.ts';
import type { ApiLane } from './proxy/api-lane.ts';
import { claimFieldsOf } from './proxy/claims.ts';
import { createSessionTie } from './proxy/event-streams.ts';
import { createForwardAuth } from './proxy/forward-auth.ts';
import { createRouteTable } from './proxy/routes.ts';
import type { RouteTable } from './proxy/routes.ts';
import { createSpa } from './proxy/spa.ts';
import type { Spa } from './proxy/spa.ts';
import { createWebSockets } from './proxy/websocket.ts';
import type { ServeUpgrade } from './proxy/websocket.ts';
import type { Audit } from './telemetry/audit.ts';
import { moduleLog } from './telemetry/log.ts';
import type { Tracing } from './telemetry/tracing.ts';

/** Everything that answers as one configuration says. A request finishes on the generation that it began on; what is open or kept belongs to the parts. */
export interface Generation {
  config: Config;
  audit: Audit;
  tracing?: Tracing | undefined;
  /** Begins a request: who asks, under which id. */
  begin(request: IncomingMessage): RequestContext;
  /** The endpoints under the base path. */
  express: RequestListener;
  routes: RouteTable;
  lane: ApiLane;
  /** WebSocket handshakes, wherever they go. */
  upgrade: ServeUpgrade;
  /** What is neither ours nor an API's: the app, if Postern serves it. */
  spa: Spa;
  sendProblem: SendError;
  /** The answer to bytes that are no request; see http/error-response. */
  rawProblem(code: ErrorCode): string;
  /** What gateways ask, on a listener of its own. */
  forwardAuth: RequestListener;
  /** /admin on the operations listener, once it is switched on. */
  admin: RequestListener | undefined;
}

type Row = Omit<Endpoint, 'handler'> & {
  handlerOf: (handlers: ReturnType<typeof createHandlers>) => Endpoint['handler'];
};

const rows: readonly Row[] = [
  // Log in: out to the provider, and back.
  { method: 'GET', path: '/login', handlerOf: (handlers) => handlers.login },
  { method: 'GET', path: '/callback', handlerOf: (handlers) => handlers.callback },
  // While signed in.
  { method: 'GET', path: '/session', handlerOf: (handlers) => handlers.whoAmI },
  { method: 'POST', path: '/refresh', handlerOf: (handlers) => handlers.refreshNow },
  { method: 'GET', path: '/events', handlerOf: (handlers) => handlers.events },
  // Where else this user is signed in.
  { method: 'GET', path: '/sessions', handlerOf: (handlers) => handlers.ownSessions.list },
  { method: 'DELETE', path: '/sessions', handlerOf: (handlers) => handlers.ownSessions.endOthers },
  { method: 'DELETE', path: '/sessions/:handle', handlerOf: (handlers) => handlers.ownSessions.endOne },
  // Log out: here first, then at the provider.
  { method: 'POST', path: '/logout', handlerOf: (handlers) => handlers.logout },
  { method: 'GET', path: '/logout/continue', handlerOf: (handlers) => handlers.logoutContinue },
  { method: 'GET', path: '/logout/callback', handlerOf: (handlers) => handlers.logoutCallback },
  // The provider has logged somebody out.
  { method: 'POST', path: '/backchannel-logout', handlerOf: (handlers) => handlers.backchannelLogout },
];
const frontChannel: Row = {
  method: 'GET',
  path: '/frontchannel-logout',
  handlerOf: (handlers) => handlers.frontchannelLogout,
};

/** The endpoints under the base path, as this configuration has them. */
export function endpointsOf({ logout }: Pick<Config, 'logout'>): readonly Row[] {
  return logout.frontChannel ? [...rows, frontChannel] : rows;
}

/** Makes a generation. What it opens on the way, such as the connections to upstreams, belongs to the parts. Throws when the TLS files of an upstream cannot be used. */
export function createGeneration(config: Config, parts: Parts): Generation {
  const { publicUrl, basePath } = config;
  const { cookie, provider, vault, accessTokens, connections, streams, metrics, audit, tracing, log } = parts;
  const proxyLog = moduleLog(log, 'proxy');
  const securityHeaders = createSecurityHeaders({
    https: publicUrl.startsWith('https:'),
    strictTransportSecurity: config.strictTransportSecurity,
  });
  const { sendProblem, sendErrorPage, rawProblem } = createErrorResponse({
    securityHeaders,
    loginUrl: `${basePath}/login`,
    homeUrl: '/',
  });
  const routes = createRouteTable(config.routes);
  const claimNames = claimFieldsOf(routes.routes);
  const isReserved = (path: string): boolean => isUnder(path, basePath) || routes.match(path).kind !== 'none';
  const handlers = createHandlers(parts, { config, securityHeaders, isReserved });

  const endpoints = endpointsOf(config).map(({ handlerOf, ...row }) => ({ ...row, handler: handlerOf(handlers) }));

  return {
    config,
    audit,
    tracing,
    begin: createRequestContexts({
      trusted: config.trustedProxies,
      randomId: randomUUID,
      monotonicNow,
    }),
    express: createEndpoints({
      basePath,
      endpoints,
      securityHeaders,
      onError: createEndpointErrors({ sendProblem, sendErrorPage, log: moduleLog(log, 'login') }),
    }),
    routes,
    lane: createApiLane({
      routes: routes.routes,
      claimNames,
      publicUrl,
      requireHeader: config.csrf.requireHeader,
      cookie,
      tokens: accessTokens,
      vault,
      connections,
      securityHeaders: securityHeaders.proxied,
      limits: config.limits,
      counts: parts.counts,
      tieToSession: createSessionTie({ streams, metrics }),
      now: monotonicNow,
      sendProblem,
      metrics,
      log: proxyLog,
    }),
    spa: createSpa({
      settings: config.spa,
      publicUrl,
      cookie,
      claimNames,
      connections,
      securityHeaders,
      endSessionOrigins: () => [provider.endSessionOrigin() ?? []].flat(),
      randomId,
      sendProblem,
      log: proxyLog,
    }),
    upgrade: createWebSockets({
      routes: routes.routes,
      claimNames,
      spa: config.spa,
      publicUrl,
      cookie,
      tokens: accessTokens,
      vault,
      connections,
      streams,
      securityHeaders: securityHeaders.proxied,
      now: monotonicNow,
      sendProblem,
      metrics,
      log: proxyLog,
    }),
    forwardAuth: createForwardAuth({
      routes,
      publicUrl,
      hosts: acceptedHosts(publicUrl),
      requireHeader: config.csrf.requireHeader,
      cookie,
      tokens: accessTokens,
      vault,
      now: monotonicNow,
      sendProblem,
      metrics,
      log: proxyLog,
    }),
    sendProblem,
    rawProblem: (code) => rawProblem(code, randomUUID()),
    admin: handlers.admin,
  };
}
