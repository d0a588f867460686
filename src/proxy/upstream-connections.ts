// Connections to upstreams, and the proxy library that uses them: the only file that knows it. Everything it could do wrong by default is taken from
// it: headers come in ready-made, head and body are written by the caller, errors and time limits are the caller's.
import http from 'node:http';
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import { createProxyMiddleware } from 'http-proxy-middleware';
import type { Upstream } from './routes.ts';

/** One request to an upstream, as its sender hears of it. */
export interface Exchange {
  /** A connection has been given to the request; it may still be connecting. */
  connected(upstreamRequest: ClientRequest): void;
  /** The head of the answer is there. */
  answered(upstreamResponse: IncomingMessage): void;
  /** Something failed on either side. May be called more than once, and after the answer. */
  failed(error: NodeJS.ErrnoException): void;
}

/** The way to one upstream. What is sent is the request's own method, `url`, `headers` and body. */
export interface UpstreamConnection {
  send(request: IncomingMessage, response: ServerResponse, exchange: Exchange): void;
}

/** All connections of this process. Routes with the same upstream share theirs. */
export interface UpstreamConnections {
  to(upstream: Upstream): UpstreamConnection;
  /** Cuts every connection. */
  close(): void;
}

// No limit: a queue inside the agent would have no time limit, and each connection here serves one that a client holds.
const agentSettings = { keepAlive: true, maxSockets: Infinity, maxFreeSockets: 256 };

export function createUpstreamConnections(): UpstreamConnections {
  const plain = new http.Agent(agentSettings);
  const secure = new https.Agent(agentSettings);
  const connections = new Map<string, UpstreamConnection>();
  return {
    to(upstream) {
      const key = `${upstream.protocol}//${upstream.hostname}:${upstream.port}`;
      const known = connections.get(key);
      if (known !== undefined) return known;
      const connection = createConnection(upstream, upstream.protocol === 'https:' ? secure : plain);
      connections.set(key, connection);
      return connection;
    },
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}

// The library's events come from one emitter for all requests, so each request carries what its own events are for.
const exchangeOf = Symbol('exchange');

interface Carrier extends IncomingMessage {
  [exchangeOf]?: Exchange;
}

function exchangeFor(request: IncomingMessage): Exchange {
  const exchange = (request as Carrier)[exchangeOf];
  if (exchange === undefined) throw new Error('This request was never sent');
  return exchange;
}

function createConnection({ protocol, hostname, port }: Upstream, agent: http.Agent): UpstreamConnection {
  const proxy = createProxyMiddleware({
    target: { protocol, host: hostname, port },
    agent,
    secure: true,
    selfHandleResponse: true,
    ejectPlugins: true,
    plugins: [
      (server) => {
        server.on('proxyReq', (upstreamRequest, request) => exchangeFor(request).connected(upstreamRequest));
        server.on('proxyRes', (upstreamResponse, request) => exchangeFor(request).answered(upstreamResponse));
        server.on('error', (error, request) => {
          if (request !== undefined) exchangeFor(request).failed(error);
        });
      },
    ],
  });
  return {
    send(request, response, exchange) {
      (request as Carrier)[exchangeOf] = exchange;
      void proxy(request, response);
    },
  };
}
