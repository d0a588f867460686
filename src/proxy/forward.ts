// Sends one request to one upstream and streams the answer back, within time limits.
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { PosternError } from '../errors.ts';
import type { BuildResponseHeaders } from './response-headers.ts';
import type { Exchange, UpstreamConnection } from './upstream-connections.ts';
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
  connection: UpstreamConnection;
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

/** Prepares the way to one upstream. */
export function createForward(options: ForwardOptions): Forward {
  return function forward(request, response, { target, headers }) {
    request.url = target;
    request.headers = headers;
    options.connection.send(request, response, new Forwarding(options, request, response));
  };
}

class Forwarding implements Exchange {
  readonly #options: ForwardOptions;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(options: ForwardOptions, request: IncomingMessage, response: ServerResponse) {
    this.#options = options;
    this.#request = request;
    this.#response = response;
  }

  connected(upstreamRequest: ClientRequest): void {
    limitTime(upstreamRequest, this.#options.limits);
  }

  answered(upstreamResponse: IncomingMessage): void {
    const response = this.#response;
    // Too late: the request has been answered, or its client is gone.
    if (response.headersSent || response.destroyed) {
      upstreamResponse.destroy();
      return;
    }
    const { limits, responseHeaders } = this.#options;
    const status = upstreamResponse.statusCode ?? 0;
    try {
      // A 101 that nobody asked for would hand the client a connection in another protocol.
      if (status < 200) throw new Error(`Unexpected status ${status}`);
      response.writeHead(status, responseHeaders(upstreamResponse.rawHeaders));
    } catch (cause) {
      upstreamResponse.destroy();
      this.#fail(new PosternError('upstream_invalid', { cause }));
      return;
    }
    upstreamResponse.socket.setTimeout(limits.idleMs);
    // The library destroys either side when the other goes before its time: a cut answer stays cut, and a client that leaves cancels the call.
    upstreamResponse.pipe(response);
  }

  failed(error: NodeJS.ErrnoException): void {
    this.#fail(asPosternError(error));
  }

  #fail(error: PosternError): void {
    const request = this.#request;
    const response = this.#response;
    // Half an answer must not look like a whole one.
    if (response.headersSent && !response.writableEnded) response.destroy();
    if (response.headersSent || response.destroyed) return;
    this.#options.onFailure(request, response, error);
    // What is left of the body goes nowhere; unread, it would block the connection for good.
    request.resume();
  }
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

function asPosternError(cause: NodeJS.ErrnoException): PosternError {
  if (cause instanceof UpstreamTimeout || cause.code === 'ETIMEDOUT') {
    return new PosternError('upstream_timeout', { cause });
  }
  // HPE_…: what the parser of Node could not accept as HTTP.
  if (cause.code?.startsWith('HPE_') === true) return new PosternError('upstream_invalid', { cause });
  return new PosternError('upstream_unreachable', { cause });
}
