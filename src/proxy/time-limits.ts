// How long a request waits for its upstream.
import type { ClientRequest } from 'node:http';
import type { RouteConfig } from '../config/schema.ts';

/** Time limits of one route, in ms. */
export interface UpstreamTimeLimits {
  /** Until the connection stands, TLS included. */
  connectMs: number;
  /** Without a byte in either direction, until the head of the answer is there. */
  headersMs: number;
  /** Without a byte in either direction, while the answer comes. */
  idleMs: number;
}

/** The limits that a route sets, which are seconds there. */
export function timeLimitsOf({ timeout }: Pick<RouteConfig, 'timeout'>): UpstreamTimeLimits {
  return { connectMs: timeout.connect * 1000, headersMs: timeout.headers * 1000, idleMs: timeout.idle * 1000 };
}

/** What a request is destroyed with when its time is up. */
export class UpstreamTimeout extends Error {
  override readonly name = 'UpstreamTimeout';
}

/** Limits the time until the head of the answer. A connection of the pool stands already; a new one gets the shorter limit until it stands. */
export function limitTime(upstreamRequest: ClientRequest, limits: UpstreamTimeLimits): void {
  const { socket } = upstreamRequest;
  upstreamRequest.on('timeout', giveUp);
  if (socket === null || !socket.connecting) {
    upstreamRequest.setTimeout(limits.headersMs);
    return;
  }
  const connectTimedOut = (): void => {
    upstreamRequest.destroy(new UpstreamTimeout('The connection did not come about in time'));
  };
  socket.setTimeout(limits.connectMs, connectTimedOut);
  socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => {
    socket.off('timeout', connectTimedOut);
    upstreamRequest.setTimeout(limits.headersMs);
  });
}

function giveUp(this: ClientRequest): void {
  this.destroy(new UpstreamTimeout('The upstream was silent for too long'));
}
