// Opens tunnels on one way to one upstream: room for them, their place in the register of streams, and what operators hear of them.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SendError } from '../http/error-response.ts';
import { contextFor } from '../http/request-context.ts';
import { noRoom } from '../session/streams.ts';
import type { Streams } from '../session/streams.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Target } from './admission.ts';
import type { BuildResponseHeaders } from './response-headers.ts';
import type { UpstreamTimeLimits } from './time-limits.ts';
import { Tunnel } from './tunnel.ts';
import type { TunnelLifetime } from './tunnel.ts';
import type { UpgradeConnection } from './upstream-connections.ts';
import type { UpstreamHeaders } from './upstream-headers.ts';
import { handshakeHeaders } from './websocket-handshake.ts';

/** Serves a handshake that nothing is wrong with in itself. `head` is what has come behind it. */
export type ServeHandshake = (
  request: IncomingMessage,
  response: ServerResponse,
  handshake: { target: Target; head: Buffer },
) => void;

/** What every tunnel of this process shares. */
export interface TunnelSurroundings {
  streams: Pick<Streams, 'open'>;
  sendProblem: SendError;
  metrics: Pick<Metrics, 'upstreamErrors' | 'websockets' | 'websocketCloses'>;
  log: Logger;
}

export interface TunnelsOptions extends TunnelSurroundings {
  connection: UpgradeConnection;
  timeLimits: UpstreamTimeLimits;
  lifetime: TunnelLifetime;
  toClient: BuildResponseHeaders;
}

/** What is sent in place of the handshake's own target and headers, and on whose behalf. */
export interface Outbound {
  /** What has come behind the handshake. */
  head: Buffer;
  /** Path and query. */
  target: string;
  /** As for a call; the handshake's own fields are added. */
  headers: UpstreamHeaders;
  /** The session that the tunnel ends with; undefined where it needs none. */
  h: string | undefined;
  /** Called at each piece that the client sends. */
  onClientBytes: (() => void) | undefined;
}

/** Takes a handshake over: either the tunnel comes about, or the response is answered. */
export type OpenTunnel = (request: IncomingMessage, response: ServerResponse, outbound: Outbound) => void;

/** Prepares tunnels on one way. */
export function createTunnels(options: TunnelsOptions): OpenTunnel {
  const { connection, timeLimits, lifetime, toClient, streams, sendProblem, metrics, log } = options;

  return function open(request, response, { head, target, headers, h, onClientBytes }) {
    const { requestId, route } = contextFor(request);
    const tunnel = new Tunnel({
      request,
      response,
      timeLimits,
      lifetime,
      toClient,
      onFailure(error) {
        if (error.status === 502 || error.status === 504) {
          metrics.upstreamErrors.inc({ http_route: route, code: error.code });
          log.warn({ requestId, route, code: error.code, err: error.cause }, 'an upstream did not answer');
        }
        sendProblem(request, response, error);
      },
      onOpen: () => metrics.websockets.inc(),
      onClientBytes,
      onClose(by) {
        metrics.websockets.dec();
        metrics.websocketCloses.inc({ reason: by });
        contextFor(request).closedBy = by;
      },
    });
    // Registered before the upstream is asked: a session that ends meanwhile ends the handshake too.
    const opening = streams.open(h, tunnel);
    if (opening.kind === 'full') {
      sendProblem(request, response, noRoom(opening));
      return;
    }
    request.socket.once('close', opening.leave);
    const handshake = handshakeHeaders(request.headers);
    request.url = target;
    request.headers = { ...headers, ...handshake };
    connection.upgrade(request, head, tunnel);
  };
}
