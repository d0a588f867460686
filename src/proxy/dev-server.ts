// The app from the development server that builds it, with module reloading and all: another upstream, which gets no token and no cookie of ours.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SendError } from '../http/error-response.ts';
import { contextFor } from '../http/request-context.ts';
import type { SessionCookie } from '../session/cookie.ts';
import { createForward } from './forward.ts';
import { createResponseHeaders } from './response-headers.ts';
import { parseUpstream } from './routes.ts';
import type { UpstreamTimeLimits } from './time-limits.ts';
import type { TunnelLifetime } from './tunnel.ts';
import { createTunnels } from './tunnels.ts';
import type { ServeHandshake, TunnelSurroundings } from './tunnels.ts';
import type { UpstreamConnections } from './upstream-connections.ts';
import { createUpstreamHeaders } from './upstream-headers.ts';

interface WayOptions {
  url: string;
  publicUrl: string;
  cookie: Pick<SessionCookie, 'isOwn'>;
  /** Names that carry claims on some route. */
  claimNames: readonly string[];
}

export interface DevServerOptions extends WayOptions {
  connections: Pick<UpstreamConnections, 'to'>;
  sendProblem: SendError;
}

export interface DevServerWebSocketsOptions extends WayOptions, TunnelSurroundings {
  connections: Pick<UpstreamConnections, 'upgradesTo'>;
}

/** Sends a request with a canonical target on to the development server. */
export type DevServer = (
  request: IncomingMessage,
  response: ServerResponse,
  target: { path: string; query: string },
) => void;

// A development server bundles while the browser waits.
const devServerLimits: UpstreamTimeLimits = { connectMs: 5_000, headersMs: 120_000, idleMs: 300_000 };

// Pages stay open all day, and its sockets are silent until somebody edits a file.
const devServerLifetime: TunnelLifetime = { idleMs: 86_400_000, maxAgeMs: undefined };

/** History fallback is the server's own. */
export function createDevServer(options: DevServerOptions): DevServer {
  const { upstream, toClient, outgoingFor } = createWay(options);
  const forward = createForward({
    connection: options.connections.to(upstream),
    limits: devServerLimits,
    responseHeaders: toClient,
    unauthorized: undefined,
    tieToSession: undefined,
    onRetry: () => undefined,
    onFailure: options.sendProblem,
  });

  return function serveFromDevServer(request, response, target) {
    forward(request, response, { ...outgoingFor(request, target), session: undefined, authorized: undefined });
  };
}

/** The sockets over which it tells pages to load modules anew: they need no session. */
export function createDevServerWebSockets(options: DevServerWebSocketsOptions): ServeHandshake {
  const { upstream, toClient, outgoingFor } = createWay(options);
  const openTunnel = createTunnels({
    ...options,
    connection: options.connections.upgradesTo(upstream),
    timeLimits: devServerLimits,
    lifetime: devServerLifetime,
    toClient,
  });

  return function serveFromDevServer(request, response, { target, head }) {
    openTunnel(request, response, { ...outgoingFor(request, target), head, h: undefined, onClientBytes: undefined });
  };
}

// No token, no cookie of ours, and none of the headers that would keep the scripts from running.
function createWay({ url, publicUrl, cookie, claimNames }: WayOptions) {
  const upstream = parseUpstream(url);
  const passesCookie = (name: string): boolean => !cookie.isOwn(name);
  const toUpstream = createUpstreamHeaders({ publicUrl, authority: upstream.authority, passesCookie, claimNames });
  return {
    upstream,
    toClient: createResponseHeaders({ securityHeaders: {}, passesCookie, cache: 'upstream', variesByCookie: false }),
    outgoingFor: (request: IncomingMessage, { path, query }: { path: string; query: string }) => {
      const { clientAddress, forwardedFor, requestId } = contextFor(request);
      const own = { clientAddress, forwardedFor, requestId, bearer: undefined, claims: undefined };
      return { target: upstream.basePath + path + query, headers: toUpstream(request, own) };
    },
  };
}
