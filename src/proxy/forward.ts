// Sends one request to one upstream and streams the answer back: the only file that knows the proxy library.
// Everything it could do wrong by default is taken from it: headers come in ready-made, head and body are written here, errors and time limits are ours.
import http from 'node:http';
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { PosternError } from '../errors.ts';
import type { BuildResponseHeaders } from './response-headers.ts';
import type { Upstream } from './routes.ts';
import type { UpstreamHeaders } from './upstream-headers.ts';

/** Time limits of one route, in ms. */
export interface UpstreamTimeLimits {
  /** Until the connection stands, TLS included. */
  connectMs: number;
  /** Without a byte in either direction, until the head of the answer is there. */
  headersMs: number;
  /** Without a byte in either direction, while the answer comes. */
  idleMs: number;
}

/** One way to one upstream. */
export interface ForwardOptions {
  upstream: Upstream;
  agents: UpstreamAgents;
  limits: UpstreamTimeLimits;
  responseHeaders: BuildResponseHeaders;
  /** Answers a request whose upstream failed before its answer began: `upstream_unreachable`, `upstream_timeout` or `upstream_invalid`. Called at most once a request. */
  onFailure: (request: IncomingMessage, response: ServerResponse, error: PosternError) => void;
}

/** What is sent in place of the request's own target and headers. */
export interface Outgoing {
  /** Path and query. */
  target: string;
  headers: UpstreamHeaders;
}

/** Takes the request over: `request.url` and `request.headers` are replaced, and the response is answered in every case. */
export type Forward = (request: IncomingMessage, response: ServerResponse, outgoing: Outgoing) => void;

/** The connections to all upstreams. */
export interface UpstreamAgents {
  send: Record<Upstream['protocol'], (request: IncomingMessage, response: ServerResponse) => void>;
  /** Cuts every connection. */
  close(): void;
}

/** Prepares the way to one upstream. */
export function createForward(options: ForwardOptions): Forward {
  const { upstream, agents } = options;
  const send = agents.send[upstream.protocol];
  return function forward(request, response, { target, headers }) {
    request.url = target;
    request.headers = headers;
    (request as Carrier)[wayOf] = options;
    send(request, response);
  };
}

export function createUpstreamAgents(): UpstreamAgents {
  // No limit: a queue inside the agent would have no time limit, and each connection here serves one that a client holds.
  const settings = { keepAlive: true, maxSockets: Infinity, maxFreeSockets: 256 };
  const plain = new http.Agent(settings);
  const secure = new https.Agent(settings);
  return {
    send: { 'http:': createSender(plain), 'https:': createSender(secure) },
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}

// The proxy library listens on the server for as long as it runs, once per middleware: one for each route would add a listener each. So there is one
// for all upstreams of a scheme, and each request carries the way it goes.
const wayOf = Symbol('way to the upstream');

interface Carrier extends IncomingMessage {
  [wayOf]?: ForwardOptions;
}

function wayFor(request: IncomingMessage): ForwardOptions {
  const way = (request as Carrier)[wayOf];
  if (way === undefined) throw new Error('This request was never forwarded');
  return way;
}

function createSender(agent: http.Agent): (request: IncomingMessage, response: ServerResponse) => void {
  const proxy = createProxyMiddleware({
    router(request) {
      const { protocol, hostname, port } = wayFor(request).upstream;
      return { protocol, host: hostname, port };
    },
    agent,
    secure: true,
    selfHandleResponse: true,
    ejectPlugins: true,
    plugins: [
      (server) => {
        server.on('proxyReq', (upstreamRequest, request) => limitTime(upstreamRequest, wayFor(request).limits));
        server.on('proxyRes', passOn);
        server.on('error', (error, request, response) => {
          if (request !== undefined && response !== undefined && 'writeHead' in response) {
            fail(request, response, asPosternError(error));
          }
        });
      },
    ],
  });
  return (request, response) => void proxy(request, response);
}

function fail(request: IncomingMessage, response: ServerResponse, error: PosternError): void {
  // Half an answer must not look like a whole one.
  if (response.headersSent && !response.writableEnded) response.destroy();
  if (response.headersSent || response.destroyed) return;
  wayFor(request).onFailure(request, response, error);
  // What is left of the body goes nowhere; unread, it would block the connection for good.
  request.resume();
}

function passOn(upstreamResponse: IncomingMessage, request: IncomingMessage, response: ServerResponse): void {
  // Too late: the request has been answered, or its client is gone.
  if (response.headersSent || response.destroyed) {
    upstreamResponse.destroy();
    return;
  }
  const { limits, responseHeaders } = wayFor(request);
  const status = upstreamResponse.statusCode ?? 0;
  try {
    // A 101 that nobody asked for would hand the client a connection in another protocol.
    if (status < 200) throw new Error(`Unexpected status ${status}`);
    response.writeHead(status, responseHeaders(upstreamResponse.rawHeaders));
  } catch (cause) {
    upstreamResponse.destroy();
    fail(request, response, new PosternError('upstream_invalid', { cause }));
    return;
  }
  upstreamResponse.socket.setTimeout(limits.idleMs);
  // The library destroys either side when the other goes before its time: a cut answer stays cut, and a client that leaves cancels the call.
  upstreamResponse.pipe(response);
}

class UpstreamTimeout extends Error {
  override readonly name = 'UpstreamTimeout';
}

// A connection of the pool stands already. A new one gets the shorter limit until it stands.
function limitTime(upstreamRequest: ClientRequest, limits: UpstreamTimeLimits): void {
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

function asPosternError(cause: Error & { code?: string }): PosternError {
  if (cause instanceof UpstreamTimeout || cause.code === 'ETIMEDOUT') {
    return new PosternError('upstream_timeout', { cause });
  }
  // HPE_…: what the parser of Node could not accept as HTTP.
  if (cause.code?.startsWith('HPE_') === true) return new PosternError('upstream_invalid', { cause });
  return new PosternError('upstream_unreachable', { cause });
}
