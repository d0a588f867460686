// The way of an API call, before Express and without it: admission, headers, upstream.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import type { SendError } from '../http/error-response.ts';
import { contextFor } from '../http/request-context.ts';
import type { HeaderList } from '../http/security-headers.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { AccessTokens } from '../tokens/access-token.ts';
import type { OpenedSession } from '../tokens/opened-session.ts';
import type { TokenVault } from '../tokens/token-vault.ts';
import { createAdmission, createGrant, crossSiteOf } from './admission.ts';
import type { Admission, Admit, Target } from './admission.ts';
import type { TieToSession } from './event-streams.ts';
import { createForward } from './forward.ts';
import type { Forward } from './forward.ts';
import type { Counts, Places } from './limits.ts';
import { createRouteHeaders } from './route-headers.ts';
import type { RouteHeaders } from './route-headers.ts';
import type { Route } from './routes.ts';
import { timeLimitsOf } from './time-limits.ts';
import { createUnauthorized } from './unauthorized.ts';
import type { AuthorizedCall } from './unauthorized.ts';
import type { UpstreamConnections } from './upstream-connections.ts';

/** Serves a request that matched a route of the table it was made for. The request must have been begun (http/request-context). */
export type ApiLane = (
  request: IncomingMessage,
  response: ServerResponse,
  call: { route: Route; target: Target },
) => void;

export interface ApiLaneOptions {
  routes: readonly Route[];
  /** Names that carry claims on some route. */
  claimNames: readonly string[];
  publicUrl: string;
  /** `csrf.requireHeader`. */
  requireHeader: boolean;
  cookie: Pick<SessionCookie, 'read' | 'isOwn'>;
  tokens: Pick<AccessTokens, 'atHand' | 'forCall' | 'forReplay'>;
  vault: Pick<TokenVault, 'slide'>;
  connections: UpstreamConnections;
  /** Headers of every proxied answer. */
  securityHeaders: HeaderList;
  tieToSession: TieToSession;
  sendProblem: SendError;
  limits: Pick<Config['limits'], 'upstreamRequests' | 'sessionRequests'>;
  counts: Counts;
  /** Monotonic, ms. */
  now: () => number;
  metrics: Pick<Metrics, 'crossSiteRejections' | 'upstreamErrors' | 'replays' | 'retries' | 'shed'>;
  log: Logger;
}

type ServeCall = (request: IncomingMessage, response: ServerResponse, target: Target) => void;

/** Everything that can be decided about a route is decided here, once. */
export function createApiLane(options: ApiLaneOptions): ApiLane {
  const { counts, limits } = options;
  const limitRate = limits.sessionRequests && counts.limitRate(limits.sessionRequests);
  const calls = new Map<Route, ServeCall>(
    options.routes.map((route) => {
      const places = counts.placesAt(route.upstream.server);
      return [route, createRouteCall(route, options, { places, limitRate })];
    }),
  );
  return function serve(request, response, { route, target }) {
    const call = calls.get(route);
    if (call === undefined) throw new Error('This route belongs to another table');
    call(request, response, target);
  };
}

interface SharedLimits {
  places: Places;
  limitRate: ((admit: Admit) => Admit) | undefined;
}

function createRouteCall(route: Route, options: ApiLaneOptions, { places, limitRate }: SharedLimits): ServeCall {
  const { config } = route;
  const { publicUrl, cookie, tokens, vault, sendProblem, metrics, log } = options;
  const crossSite = crossSiteOf(config, options);
  const admitOne = createAdmission({ config, publicUrl, crossSite, cookie, tokens, vault, now: options.now, metrics });
  const admit = limitRate?.(admitOne) ?? admitOne;
  const headers = createRouteHeaders(route, options);
  const refuse = createRefusal(config.path, options);
  const forward = createRouteForward(route, options, { headers, refuse });
  const bodyLimit = config.limits.body;

  function send(
    request: IncomingMessage,
    response: ServerResponse,
    call: { target: Target; bearer: string | undefined; session: OpenedSession | undefined },
  ): void {
    if (bodyLimit !== undefined && Number(request.headers['content-length'] ?? 0) > bodyLimit) {
      sendProblem(request, response, new PosternError('payload_too_large'));
      return;
    }
    if (!places.take(response, options.limits.upstreamRequests)) {
      refuse(request, response, new PosternError('overloaded', { retryAfterSeconds: 1 }));
      return;
    }
    const { clientAddress, forwardedFor, requestId } = contextFor(request);
    const { target, bearer, session } = call;
    // The request's own headers are replaced when it goes out, and it may have to go out again.
    const head = { headers: request.headers, httpVersion: request.httpVersion };
    const headersFor: AuthorizedCall['headersFor'] = ({ bearer, session }) =>
      headers.toUpstream(head, { clientAddress, forwardedFor, requestId, bearer, claims: session?.tokens.claims });
    forward(request, response, {
      target: route.upstreamPath(target.path) + target.query,
      headers: headersFor({ bearer, session }),
      session,
      authorized: session === undefined || bearer === undefined ? undefined : { session, bearer, headersFor },
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
        refuse(request, response, admission.error);
        return;
      case 'anonymous':
        if (admission.sessionHasEnded) response.setHeader('Postern-Session', 'ended');
        send(request, response, { target, bearer: undefined, session: undefined });
        return;
      case 'signed-in':
        send(request, response, { target, ...admission });
    }
  }

  return function serve(request, response, target) {
    const context = contextFor(request);
    context.route = config.path;
    const { method = '', headers } = request;
    const admission = admit({ method, headers, target, waits: context });
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

/** How answers and failures of the route's upstream reach the caller. */
function createRouteForward(
  { config, upstream }: Route,
  options: ApiLaneOptions,
  { headers, refuse }: { headers: RouteHeaders; refuse: SendError },
): Forward {
  const { tokens, sendProblem, metrics, log } = options;
  const unauthorized = createUnauthorized({
    config,
    grant: createGrant(config),
    tokens,
    refuse: sendProblem,
    now: options.now,
    onReplayed: (outcome) => metrics.replays.inc({ http_route: config.path, outcome }),
    onPause: () =>
      log.warn(
        { route: config.path, code: 'upstream_rejects_token' },
        'an upstream has refused three tokens in a row that were new: for five minutes its 401s go through unasked',
      ),
  });
  return createForward({
    connection: options.connections.to(upstream),
    limits: timeLimitsOf(config),
    responseHeaders: headers.toClient,
    unauthorized,
    tieToSession: options.tieToSession,
    onRetry: () => metrics.retries.inc({ http_route: config.path }),
    bodyLimit: config.limits.body,
    onFailure(request, response, error) {
      if (!error.code.startsWith('upstream_')) {
        refuse(request, response, error);
        return;
      }
      const { requestId } = contextFor(request);
      metrics.upstreamErrors.inc({ http_route: config.path, code: error.code });
      log.warn({ requestId, route: config.path, code: error.code, err: error.cause }, 'an upstream did not answer');
      sendProblem(request, response, error);
    },
  });
}

/** Answers with an error, and counts it where it sheds load. */
function createRefusal(path: string, { sendProblem, metrics }: ApiLaneOptions): SendError {
  return (request, response, error) => {
    const { code } = error;
    if (code === 'overloaded' || code === 'rate_limited') metrics.shed.inc({ http_route: path, code });
    sendProblem(request, response, error);
  };
}
