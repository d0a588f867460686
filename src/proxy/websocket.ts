// The way of a WebSocket handshake: our own Origin, then what any request on the route must show, then the upstream (RFC 6455 section 10, OWASP ASVS 5.0 V4.4).
import type { IncomingMessage, ServerResponse } from 'node:http';
import { websocketLimitsOf } from '../config/route-schema.ts';
import type { Config } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import { contextFor } from '../http/request-context.ts';
import type { HeaderList } from '../http/security-headers.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { AccessTokens } from '../tokens/access-token.ts';
import type { OpenedSession } from '../tokens/opened-session.ts';
import type { TokenVault } from '../tokens/token-vault.ts';
import { createAdmission } from './admission.ts';
import type { Admission, Target } from './admission.ts';
import type { Destination } from './destination.ts';
import { createDevServerWebSockets } from './dev-server.ts';
import { createRouteHeaders } from './route-headers.ts';
import type { Route } from './routes.ts';
import { timeLimitsOf } from './time-limits.ts';
import { createTunnels } from './tunnels.ts';
import type { ServeHandshake, TunnelSurroundings } from './tunnels.ts';
import type { UpstreamConnections } from './upstream-connections.ts';
import { crossSiteOfHandshakes, refusalOfHandshake } from './websocket-handshake.ts';

/**
 * Serves a handshake: a tunnel, or an answer. `head` is what has come behind it.
 * The request must have been begun (http/request-context), and the response is its own (http/upgrade-response).
 */
export type ServeUpgrade = (
  request: IncomingMessage,
  response: ServerResponse,
  upgrade: { destination: Exclude<Destination, { kind: 'refused' }>; head: Buffer },
) => void;

export interface WebSocketsOptions extends TunnelSurroundings {
  routes: readonly Route[];
  /** Names that carry claims on some route. */
  claimNames: readonly string[];
  spa: Config['spa'];
  publicUrl: string;
  cookie: Pick<SessionCookie, 'read' | 'isOwn'>;
  tokens: Pick<AccessTokens, 'atHand' | 'forCall'>;
  vault: Pick<TokenVault, 'slide'>;
  connections: Pick<UpstreamConnections, 'upgradesTo'>;
  /** Headers of every proxied answer: an upstream may refuse. */
  securityHeaders: HeaderList;
  /** Monotonic, ms. */
  now: () => number;
  metrics: Pick<Metrics, 'crossSiteRejections' | 'upstreamErrors' | 'websockets' | 'websocketCloses'>;
}

/** Everything that can be decided about a route is decided here, once. */
export function createWebSockets(options: WebSocketsOptions): ServeUpgrade {
  const { publicUrl, spa, sendProblem, metrics } = options;
  const ofRoutes = new Map<Route, ServeHandshake>();
  for (const route of options.routes) {
    const serve = createRouteWebSockets(route, options);
    if (serve !== undefined) ofRoutes.set(route, serve);
  }
  const ofApp =
    spa !== undefined && 'upstream' in spa ? createDevServerWebSockets({ ...options, url: spa.upstream }) : undefined;

  function serverFor(destination: Exclude<Destination, { kind: 'refused' }>): ServeHandshake | undefined {
    switch (destination.kind) {
      case 'own':
        return undefined;
      case 'route':
        return ofRoutes.get(destination.route);
      case 'app':
        return ofApp;
    }
  }

  return function serveUpgrade(request, response, { destination, head }) {
    const serve = serverFor(destination);
    if (serve === undefined || destination.kind === 'own') {
      sendProblem(request, response, new PosternError('no_route'));
      return;
    }
    contextFor(request).route = destination.kind === 'route' ? destination.route.config.path : 'spa';
    const refusal = refusalOfHandshake(request.headers, publicUrl);
    if (refusal !== undefined) {
      if (refusal.code === 'csrf_rejected') metrics.crossSiteRejections.inc();
      sendProblem(request, response, refusal);
      return;
    }
    serve(request, response, { target: destination.target, head });
  };
}

/** Undefined for a route that lets no WebSocket through. */
function createRouteWebSockets(route: Route, options: WebSocketsOptions): ServeHandshake | undefined {
  const { config, upstream } = route;
  const limits = websocketLimitsOf(config.websocket);
  if (limits === undefined) return undefined;
  const { publicUrl, cookie, tokens, vault, sendProblem, metrics, log } = options;
  const crossSite = crossSiteOfHandshakes(publicUrl);
  const admit = createAdmission({ config, publicUrl, crossSite, cookie, tokens, vault, now: options.now, metrics });
  const headers = createRouteHeaders(route, options);
  const openTunnel = createTunnels({
    ...options,
    connection: options.connections.upgradesTo(upstream),
    timeLimits: timeLimitsOf(config),
    lifetime: {
      idleMs: limits.idleTimeout * 1000,
      maxAgeMs: limits.maxAge === undefined ? undefined : limits.maxAge * 1000,
    },
    toClient: headers.toClient,
  });

  /** Notes what the client sends as activity, for as long as the tunnel lives: no token is kept for it. */
  function activityOf({ h, record, offsetMs }: OpenedSession): (() => void) | undefined {
    if (!config.activity) return undefined;
    const activity = { h, record, offsetMs };
    return () => vault.slide(activity);
  }

  function proceed(
    request: IncomingMessage,
    response: ServerResponse,
    { admission, target, head }: { admission: Admission; target: Target; head: Buffer },
  ): void {
    // Gone while it was waited for: a client that has closed its side cannot even make a frame.
    if (request.socket.readableEnded) request.socket.destroy();
    if (request.socket.destroyed) return;
    if (admission.kind === 'refused') {
      sendProblem(request, response, admission.error);
      return;
    }
    const { clientAddress, forwardedFor, requestId } = contextFor(request);
    const session = admission.kind === 'signed-in' ? admission.session : undefined;
    openTunnel(request, response, {
      head,
      target: route.upstreamPath(target.path) + target.query,
      headers: headers.toUpstream(request, {
        clientAddress,
        forwardedFor,
        requestId,
        bearer: admission.kind === 'signed-in' ? admission.bearer : undefined,
        claims: session?.tokens.claims,
      }),
      h: session?.h,
      onClientBytes: session && activityOf(session),
    });
  }

  return function serve(request, response, { target, head }) {
    Promise.resolve(admit({ method: 'GET', headers: request.headers, target, waits: contextFor(request) }))
      .then((admission) => proceed(request, response, { admission, target, head }))
      .catch((cause: unknown) => {
        log.error({ requestId: contextFor(request).requestId, err: cause }, 'a handshake failed unexpectedly');
        sendProblem(request, response, new PosternError('internal_error', { cause }));
      });
  };
}
