// Connections to upstreams, and the proxy library that uses them: the only file that knows it. Everything it could do wrong by default is taken from
// it: headers come in ready-made, head and body are written by the caller, errors and time limits are the caller's.
import http from 'node:http';
import type {
  ClientRequest,
  IncomingHttpHeaders,
  IncomingMessage,
  OutgoingHttpHeaders,
  ServerResponse,
} from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { Stream } from 'node:stream';
import { createProxyMiddleware } from 'http-proxy-middleware';
import type { Audit } from '../telemetry/audit.ts';
import { hasBody } from './request-again.ts';
import type { Upstream } from './routes.ts';
import { createUpstreamTls } from './tls-agent.ts';
import type { UpstreamTls } from './tls-agent.ts';

/** One request to an upstream, as its sender hears of it. */
export interface Exchange {
  /** A connection has been given to the request; it may still be connecting. */
  connected(upstreamRequest: ClientRequest): void;
  /** The head of the answer is there. */
  answered(upstreamResponse: IncomingMessage): void;
  /** Something failed on either side. May be called more than once, and after the answer. */
  failed(error: NodeJS.ErrnoException): void;
}

/** One WebSocket handshake with an upstream, as its sender hears of it. Both answers are written by the library; the fields are the sender's. */
export interface UpgradeExchange {
  connected(upstreamRequest: ClientRequest): void;
  /** The upstream has changed the protocol: from now on bytes flow both ways. */
  switched(upstreamResponse: IncomingMessage, upstreamSocket: Socket): OutgoingHttpHeaders;
  /** The upstream has answered something else. */
  refused(upstreamResponse: IncomingMessage): OutgoingHttpHeaders;
  /** Something failed on either side. May be called more than once, and after the answer. */
  failed(error: NodeJS.ErrnoException): void;
}

/** The way to one upstream. What is sent is the request's own method, `url`, `headers` and body. */
export interface UpstreamConnection {
  send(request: IncomingMessage, response: ServerResponse, exchange: Exchange): void;
}

/** The same for handshakes, each on a connection that nothing else was sent on. `head`: what has already come behind the handshake. */
export interface UpgradeConnection {
  upgrade(request: IncomingMessage, head: Buffer, exchange: UpgradeExchange): void;
}

/** All connections of this process. Routes with the same upstream share theirs. */
export interface UpstreamConnections {
  to(upstream: Upstream): UpstreamConnection;
  upgradesTo(upstream: Upstream): UpgradeConnection;
  /** Lets go of all upstreams but these: files are followed no longer, idle connections are closed, and those in use once they are free. */
  keepOnly(upstreams: readonly Upstream[]): void;
  /** Cuts every connection. */
  close(): void;
}

// No limit: a queue inside the agent would have no time limit, and each connection here serves one that a client holds.
const callSettings = { keepAlive: true, maxSockets: Infinity, maxFreeSockets: 256 };
// An idle connection may be closed in the moment it is used, and a handshake cannot be sent again.
const upgradeSettings = { keepAlive: false, maxSockets: Infinity };

/** Connects to nothing before the first request. */
export function createUpstreamConnections({ audit }: { audit: Audit }): UpstreamConnections {
  const tls = createUpstreamTls({ audit });
  const calls = oncePerUpstream(createConnection, (upstream) => createAgent(upstream, callSettings, tls));
  const upgrades = oncePerUpstream(createUpgradeConnection, (upstream) => createAgent(upstream, upgradeSettings, tls));
  return {
    to: calls.to,
    upgradesTo: upgrades.to,
    keepOnly(upstreams) {
      calls.keepOnly(upstreams);
      upgrades.keepOnly(upstreams);
      tls.keepOnly(upstreams);
    },
    close() {
      calls.close();
      upgrades.close();
      tls.keepOnly([]);
    },
  };
}

// Kept, because the library leaves listeners at the server for each, and generations come and go.
function oncePerUpstream<Connection>(
  create: (upstream: Upstream, agent: http.Agent) => Connection,
  agentFor: (upstream: Upstream) => http.Agent,
) {
  const kept = new Map<string, { connection: Connection; agent: http.Agent }>();
  const keyOf = ({ server, tls }: Upstream): string => JSON.stringify([server, tls]);
  return {
    to: (upstream: Upstream): Connection => {
      const key = keyOf(upstream);
      const known = kept.get(key);
      if (known !== undefined) return known.connection;
      const agent = agentFor(upstream);
      const connection = create(upstream, agent);
      kept.set(key, { connection, agent });
      return connection;
    },
    keepOnly(upstreams: readonly Upstream[]): void {
      const named = new Set(upstreams.map(keyOf));
      for (const [key, { agent }] of kept) {
        if (named.has(key)) continue;
        kept.delete(key);
        letGo(agent);
      }
    },
    close(): void {
      for (const { agent } of kept.values()) agent.destroy();
    },
  };
}

function createAgent({ protocol, tls }: Upstream, settings: http.AgentOptions, upstreamTls: UpstreamTls): http.Agent {
  if (protocol !== 'https:') return new http.Agent(settings);
  return tls === undefined ? new https.Agent(settings) : upstreamTls.agentFor(tls, settings);
}

// Requests of a former generation may still go out on it.
function letGo(agent: http.Agent): void {
  agent.maxFreeSockets = 0;
  for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
}

// The library's events come from one emitter for all requests, so each request carries what its own events are for.
const exchangeOf = Symbol('exchange');
const upgradeOf = Symbol('upgrade');

interface Carrier extends IncomingMessage {
  [exchangeOf]?: Exchange;
  [upgradeOf]?: UpgradeExchange;
}

const exchangeFor = (request: IncomingMessage): Exchange => carried((request as Carrier)[exchangeOf]);
const upgradeFor = (request: IncomingMessage): UpgradeExchange => carried((request as Carrier)[upgradeOf]);

function carried<T>(exchange: T | undefined): T {
  if (exchange === undefined) throw new Error('This request was never sent');
  return exchange;
}

type ProxySettings = Parameters<typeof createProxyMiddleware>[0];

function settingsFor({ protocol, hostname, port, socketPath }: Upstream, agent: http.Agent): ProxySettings {
  return {
    target: { protocol, host: hostname, port, ...(socketPath !== undefined && { socketPath }) },
    agent,
    secure: true,
    selfHandleResponse: true,
    ejectPlugins: true,
  };
}

// Most calls have no body. To pipe nothing would cost them the setting up of a pipe and the taking down of it, about a twentieth of their time.
class NoBody extends Stream {
  override pipe<Destination extends NodeJS.WritableStream>(upstreamRequest: Destination): Destination {
    upstreamRequest.end();
    return upstreamRequest;
  }
}

function createConnection(upstream: Upstream, agent: http.Agent): UpstreamConnection {
  const settings: ProxySettings = {
    ...settingsFor(upstream, agent),
    plugins: [
      (server) => {
        server.on('proxyReq', (upstreamRequest, request) => exchangeFor(request).connected(upstreamRequest));
        server.on('proxyRes', (upstreamResponse, request) => exchangeFor(request).answered(upstreamResponse));
        server.on('error', (error, request) => {
          if (request !== undefined) exchangeFor(request).failed(error);
        });
      },
    ],
  };
  const pass = createProxyMiddleware(settings);
  const passHead = createProxyMiddleware({ ...settings, buffer: new NoBody() });
  return {
    send(request, response, exchange) {
      (request as Carrier)[exchangeOf] = exchange;
      void (hasBody(request.headers) ? pass : passHead)(request, response);
    },
  };
}

// The library's own subscription to upgrades (`ws: true`) would ask nobody.
function createUpgradeConnection(upstream: Upstream, agent: http.Agent): UpgradeConnection {
  const proxy = createProxyMiddleware({
    ...settingsFor(upstream, agent),
    plugins: [
      (server) => {
        // Before the library listens itself: it writes the answer's fields as it finds them.
        server.on('proxyReqWs', (upstreamRequest, request) => listen(upstreamRequest, upgradeFor(request)));
        server.on('error', (error, request) => {
          if (request !== undefined) upgradeFor(request).failed(error);
        });
      },
    ],
  });
  return {
    upgrade(request, head, exchange) {
      (request as Carrier)[upgradeOf] = exchange;
      proxy.upgrade(request, request.socket, head);
    },
  };
}

function listen(upstreamRequest: ClientRequest, exchange: UpgradeExchange): void {
  upstreamRequest.once('socket', () => exchange.connected(upstreamRequest));
  upstreamRequest.once('upgrade', (response: IncomingMessage, socket: Socket) => {
    response.headers = exchange.switched(response, socket) as IncomingHttpHeaders;
  });
  upstreamRequest.once('response', (response: IncomingMessage) => {
    response.headers = exchange.refused(response) as IncomingHttpHeaders;
  });
}
