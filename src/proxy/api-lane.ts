// The way of an API call, before Express and without it: path, method, cookie, cross-site rule, session, token, headers, upstream.
// An API call is never redirected: what does not pass is answered with problem+json (RFC 10017 section 6.1, RFC 9457).
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RouteConfig } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import type { CrossSiteRule } from '../http/cross-site.ts';
import { isFromOwnPages } from '../http/cross-site.ts';
import type { SendError } from '../http/error-response.ts';
import { contextFor } from '../http/request-context.ts';
import type { HeaderList } from '../http/security-headers.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { AccessTokens } from '../tokens/access-token.ts';
import type { OpenedSession } from '../tokens/opened-session.ts';
import type { TokenVault } from '../tokens/token-vault.ts';
import type { UpstreamAgents } from './forward.ts';
import { createForward } from './forward.ts';
import { createResponseHeaders } from './response-headers.ts';
import type { Route } from './routes.ts';
import { createUpstreamHeaders, viaNameOf } from './upstream-headers.ts';

/** A canonical request target. */
export interface Target {
  path: string;
  query: string;
  hasEncodedSlash: boolean;
}

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
  agents: UpstreamAgents;
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
  const { cookie, tokens, vault, sendProblem, metrics, log } = options;
  const methods: readonly string[] = config.methods;
  const tokenOf = createTokenChoice(config);
  const viaName = viaNameOf(options.publicUrl);
  const crossSite: CrossSiteRule = {
    origin: options.publicUrl,
    requireHeader: options.requireHeader,
    typedUrl: config.csrf.typedUrl,
    navigation: config.csrf.navigation,
  };
  const requestCookies = new Set(config.cookies.request);
  const responseCookies = new Set(config.cookies.response);
  const upstreamHeaders = createUpstreamHeaders({
    publicUrl: options.publicUrl,
    authority: upstream.authority,
    passesCookie: requestCookies.size > 0 && ((name) => requestCookies.has(name) && !cookie.isOwn(name)),
  });
  const forward = createForward({
    upstream,
    agents: options.agents,
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

  /** What the request itself says against it, or undefined. */
  function refusalOf(request: IncomingMessage, target: Target, hasCookie: boolean): PosternError | undefined {
    const { method = '', headers } = request;
    if (target.hasEncodedSlash && config.encodedSlash === 'reject') return new PosternError('bad_request');
    // Sent by us before: it would go round for ever (RFC 9110 section 7.6.3).
    if (headers.via?.includes(viaName) === true) return new PosternError('bad_request');
    // There is no CORS here: a preflight asks on behalf of another origin.
    if (isPreflight(request) && headers.origin !== options.publicUrl) return new PosternError('csrf_rejected');
    if (!methods.includes(method)) {
      return new PosternError('method_not_allowed', { headers: { allow: methods.join(', ') } });
    }
    // Whatever the route's auth and whether or not the cookie is good: no other site may use this browser's session, or find out about it.
    if (hasCookie && !isFromOwnPages(method, headers, crossSite)) return new PosternError('csrf_rejected');
    return undefined;
  }

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

  async function sendWithSession(
    request: IncomingMessage,
    response: ServerResponse,
    call: { target: Target; sessionId: string },
  ): Promise<void> {
    const { target } = call;
    const outcome = await tokens.forCall(call.sessionId, { needsToken: tokenOf !== undefined });
    // Gone while we waited: nobody would hear of the answer, and nobody would cancel the call.
    if (response.destroyed) return;
    switch (outcome.kind) {
      case 'active':
        if (config.activity) vault.slide(outcome.session);
        send(request, response, { target, bearer: tokenOf?.(outcome.session) });
        return;
      case 'signed-out':
        if (config.auth === 'required') {
          sendProblem(request, response, new PosternError('session_expired'));
          return;
        }
        response.setHeader('Postern-Session', 'ended');
        send(request, response, { target, bearer: undefined });
        return;
      case 'unavailable':
        sendProblem(request, response, outcome.error);
    }
  }

  return function serve(request, response, target) {
    contextFor(request).route = config.path;
    const reading = cookie.read(request.headers.cookie);
    const refusal = refusalOf(request, target, reading.kind !== 'absent');
    if (refusal !== undefined) {
      if (refusal.code === 'csrf_rejected') metrics.crossSiteRejections.inc();
      sendProblem(request, response, refusal);
    } else if (config.auth === 'none' || (config.auth === 'optional' && reading.kind !== 'valid')) {
      send(request, response, { target, bearer: undefined });
    } else if (reading.kind !== 'valid') {
      sendProblem(request, response, new PosternError('session_required'));
    } else {
      sendWithSession(request, response, { target, sessionId: reading.sessionId }).catch((cause: unknown) => {
        log.error({ requestId: contextFor(request).requestId, err: cause }, 'a call failed unexpectedly');
        sendProblem(request, response, new PosternError('internal_error', { cause }));
      });
    }
  };
}

/** Which of the session's tokens the upstream gets; undefined when it gets none. */
function createTokenChoice(config: RouteConfig): ((session: OpenedSession) => string) | undefined {
  switch (config.token) {
    case 'access':
      return ({ tokens }) => tokens.accessToken;
    case 'id':
      return ({ tokens }) => tokens.idToken;
    case 'none':
      return undefined;
  }
}

function timeLimitsOf({ timeout }: RouteConfig) {
  return { connectMs: timeout.connect * 1000, headersMs: timeout.headers * 1000, idleMs: timeout.idle * 1000 };
}

function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
}
