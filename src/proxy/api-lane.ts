// The way of an API call, before Express and without it: admission, headers, upstream.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RouteConfig } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import type { SendError } from '../http/error-response.ts';
import { contextFor } from '../http/request-context.ts';
import type { HeaderList } from '../http/security-headers.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { AccessTokens } from '../tokens/access-token.ts';
import type { TokenVault } from '../tokens/token-vault.ts';
import { createAdmission } from './admission.ts';
import type { Admission, Target } from './admission.ts';
import { createForward } from './forward.ts';
import { createResponseHeaders } from './response-headers.ts';
import type { Route } from './routes.ts';
import type { UpstreamConnections } from './upstream-connections.ts';
import { createUpstreamHeaders } from './upstream-headers.ts';

/** Serves a request that matched a route of the table it was made for. The request must have been begun (http/request-context). */
export type ApiLane = (
  request: IncomingMessage,
  response: ServerResponse,
  call: { match: { route: Route }; target: Target },
) => void;

export interface ApiLaneOptions {
  routes: readonly Route[];
  publicUrl: string;
  /** `csrf.requireHeader`. */
  requireHeader: boolean;
  cookie: Pick<SessionCookie, 'read' | 'isOwn'>;
  tokens: Pick<AccessTokens, 'forCall'>;
  vault: Pick<TokenVault, 'slide'>;
  connections: UpstreamConnections;
  /** Headers of every proxied answer. */
  securityHeaders: HeaderList;
  sendProblem: SendError;
  metrics: Pick<Metrics, 'crossSiteRejections' | 'upstreamErrors'>;
  log: Logger;
}

type ServeCall = (request: IncomingMessage, response: ServerResponse, target: Target) => void;

/** Everything that can be decided about a route is decided here, once. */
export function createApiLane(options: ApiLaneOptions): ApiLane {
  const calls = new Map<Route, ServeCall>(options.routes.map((route) => [route, createRouteCall(route, options)]));
  return function serve(request, response, { match, target }) {
    const call = calls.get(match.route);
    if (call === undefined) throw new Error('This route belongs to another table');
    call(request, response, target);
  };
}

function createRouteCall(route: Route, options: ApiLaneOptions): ServeCall {
  const { config, upstream } = route;
  const { publicUrl, cookie, tokens, vault, sendProblem, metrics, log } = options;
  const { typedUrl, navigation } = config.csrf;
  const crossSite = { origin: publicUrl, requireHeader: options.requireHeader, typedUrl, navigation };
  const admit = createAdmission({ config, publicUrl, crossSite, cookie, tokens, vault, metrics });
  const requestCookies = new Set(config.cookies.request);
  const responseCookies = new Set(config.cookies.response);
  const upstreamHeaders = createUpstreamHeaders({
    publicUrl,
    authority: upstream.authority,
    passesCookie: requestCookies.size > 0 && ((name) => requestCookies.has(name) && !cookie.isOwn(name)),
  });
  const forward = createForward({
    connection: options.connections.to(upstream),
    limits: timeLimitsOf(config),
    responseHeaders: createResponseHeaders({
      securityHeaders: options.securityHeaders,
      passesCookie: (name) => responseCookies.has(name) && !cookie.isOwn(name),
      cache: config.cache,
      variesByCookie: config.auth !== 'none',
    }),
    onFailure(request, response, error) {
      const { requestId } = contextFor(request);
      metrics.upstreamErrors.inc({ http_route: config.path, code: error.code });
      log.warn({ requestId, route: config.path, code: error.code, err: error.cause }, 'an upstream did not answer');
      sendProblem(request, response, error);
    },
  });

  function send(
    request: IncomingMessage,
    response: ServerResponse,
    call: { target: Target; bearer: string | undefined },
  ): void {
    const { clientAddress, forwardedFor, requestId } = contextFor(request);
    const { path, query } = call.target;
    forward(request, response, {
      target: route.upstreamPath(path) + query,
      headers: upstreamHeaders(request, { clientAddress, forwardedFor, requestId, bearer: call.bearer }),
    });
  }

  function proceed(
    request: IncomingMessage,
    response: ServerResponse,
    { admission, target }: { admission: Admission; target: Target },
  ): void {
    // Gone while it was waited for: nobody would hear of the answer, and nobody would cancel the call.
    if (response.destroyed) return;
    switch (admission.kind) {
      case 'refused':
        sendProblem(request, response, admission.error);
        return;
      case 'anonymous':
        if (admission.sessionHasEnded) response.setHeader('Postern-Session', 'ended');
        send(request, response, { target, bearer: undefined });
        return;
      case 'signed-in':
        send(request, response, { target, bearer: admission.bearer });
    }
  }

  return function serve(request, response, target) {
    contextFor(request).route = config.path;
    const { method = '', headers } = request;
    const admission = admit({ method, headers, target });
    if (!(admission instanceof Promise)) {
      proceed(request, response, { admission, target });
      return;
    }
    admission
      .then((admission) => proceed(request, response, { admission, target }))
      .catch((cause: unknown) => {
        log.error({ requestId: contextFor(request).requestId, err: cause }, 'a call failed unexpectedly');
        sendProblem(request, response, new PosternError('internal_error', { cause }));
      });
  };
}

function timeLimitsOf({ timeout }: RouteConfig) {
  return { connectMs: timeout.connect * 1000, headersMs: timeout.headers * 1000, idleMs: timeout.idle * 1000 };
}
