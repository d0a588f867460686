// Who is asking, and under which id: worked out once per request, before anything decides.
import type { IncomingMessage } from 'node:http';
import proxyAddr from 'proxy-addr';

/** What the edges (log, metrics, errors, forwarded headers) know of one request. */
export interface RequestContext {
  readonly requestId: string;
  /** The nearest address that is not a trusted proxy. */
  readonly clientAddress: string;
  /** That address and the trusted proxies behind it, nearest last: what X-Forwarded-For says to upstreams. */
  readonly forwardedFor: string;
  /** Monotonic, ms. */
  readonly startedAt: number;
  /** The configured route that answers, for metrics and the log: never the raw path. */
  route: string;
  /** The code of the error that was answered, if one was. */
  errorCode: string | undefined;
  /** How long the request waited for its session, ms; 0 when this process had it at hand. */
  sessionMs: number;
  /** How long it waited for a refresh, ms; 0 when the token was fresh. */
  tokenMs: number;
  /** How long the upstream took to begin its answers, ms. */
  upstreamMs: number;
  /** Who or what ended the WebSocket that the request has become. */
  closedBy: string | undefined;
}

const contextOf = Symbol('request context');

interface Carrier extends IncomingMessage {
  [contextOf]?: RequestContext;
}

/** Makes contexts. `trusted` are addresses or CIDRs whose X-Forwarded-For and X-Request-Id are believed. */
export function createRequestContexts(options: {
  trusted: string[];
  randomId: () => string;
  monotonicNow: () => number;
}) {
  const isTrusted = proxyAddr.compile(options.trusted);
  const isTrustedHop = (address: string, hop: number): boolean => isTrusted(plainAddress(address), hop);
  return function begin(request: IncomingMessage): RequestContext {
    const peer = plainAddress(request.socket.remoteAddress ?? '');
    const peerIsTrusted = options.trusted.length > 0 && isTrusted(peer, 0);
    const path = peerIsTrusted ? proxyAddr.all(request, isTrustedHop).map(plainAddress).reverse() : [peer];
    const context: RequestContext = {
      requestId: (peerIsTrusted && wellFormedId(request.headers['x-request-id'])) || options.randomId(),
      clientAddress: path[0] ?? peer,
      forwardedFor: path.join(', '),
      startedAt: options.monotonicNow(),
      route: '',
      errorCode: undefined,
      sessionMs: 0,
      tokenMs: 0,
      upstreamMs: 0,
      closedBy: undefined,
    };
    (request as Carrier)[contextOf] = context;
    return context;
  };
}

/** The context of a request that the server has begun. */
export function contextFor(request: IncomingMessage): RequestContext {
  const context = (request as Carrier)[contextOf];
  if (context === undefined) throw new Error('This request was never begun');
  return context;
}

// A socket that listens on IPv6 and IPv4 alike shows IPv4 peers as ::ffff:192.0.2.1, and some gateways add the port: 192.0.2.1:51234, [2001:db8::1]:51234.
function plainAddress(written: string): string {
  const address = /^\[([^\]]*)\](?::\d+)?$/.exec(written)?.[1] ?? /^([\d.]+):\d+$/.exec(written)?.[1] ?? written;
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

// Goes into logs and headers as it is, so only what cannot break either.
function wellFormedId(value: string | string[] | undefined): string | false {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{8,64}$/.test(value) && value;
}
