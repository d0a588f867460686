// The listeners: what browsers, gateways and operators reach, and how it stops.
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Generation } from './app.ts';
import { startOperations } from './http/health.ts';
import type { Health } from './http/health.ts';
import { close, listen } from './http/listener.ts';
import { createTlsServer } from './http/tls-server.ts';
import { isAnswerUnderWay } from './http/upgrade-response.ts';
import type { Parts } from './parts.ts';
import { createReception } from './reception.ts';
import type { Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** What browsers and gateways reach. */
export interface PublicListeners {
  /** Where the public listener is, for people: `http://host:port`, or https with `tls`. */
  publicAddress: string;
  /** Undefined unless `forwardAuth` is configured. */
  forwardAuthAddress: string | undefined;
  /** Answers every request from now on by this generation; those under way finish on theirs. */
  take(generation: Generation): void;
  /** For a process that will stop: serves on, and asks its clients with every answer to connect anew, elsewhere. */
  leave(): void;
  /** Stops accepting, closes streams and sockets, lets requests finish for at most `graceMs`, closes the parts, which let refreshes finish. */
  drain(graceMs: number): Promise<void>;
}

/** A running Postern of one process. */
export interface Server extends PublicListeners {
  operationsAddress: string;
}

export interface ServerOptions {
  /** The first one: what listens is its, and stays. */
  generation: Generation;
  parts: Pick<Parts, 'started' | 'streams' | 'close'>;
  metrics: Metrics;
  log: Logger;
  monotonicNow: () => number;
}

// Longer than the idle time-out of the usual load balancers, so that they, not we, close idle connections.
const keepAliveTimeoutMs = 75_000;
const headersTimeoutMs = 30_000;

/** @param options.states what readiness says of what Postern depends on */
export async function startServer(options: ServerOptions & { states: () => Health['parts'] }): Promise<Server> {
  const { parts, states, metrics, log } = options;
  const { config } = options.generation;
  let { generation } = options;
  let leaving = false;
  const listeners = await startPublicListeners(options);
  const { publicAddress, forwardAuthAddress } = listeners;
  const operations = await startOperations(config.operations.listen, {
    health: () => ({ ready: !leaving && parts.started(), parts: states() }),
    exposition: () => metrics.registry.metrics(),
    metrics,
    admin: generation.admin && ((request, response) => generation.admin?.(request, response)),
  });
  log.info(
    {
      publicUrl: config.publicUrl,
      listen: publicAddress,
      operations: operations.address,
      forwardAuth: forwardAuthAddress,
    },
    'listening',
  );
  return {
    publicAddress,
    operationsAddress: operations.address,
    forwardAuthAddress,
    take(next) {
      generation = next;
      listeners.take(next);
    },
    leave() {
      leaving = true;
      listeners.leave();
    },
    async drain(graceMs) {
      leaving = true;
      await listeners.drain(graceMs);
      await operations.close();
    },
  };
}

export async function startPublicListeners(options: ServerOptions): Promise<PublicListeners> {
  const { config } = options.generation;
  let { generation } = options;
  let reception = createReception(options);
  let leaving = false;
  const rawProblem: Generation['rawProblem'] = (code) => generation.rawProblem(code);
  const publicServer = createPublicServer(options);
  // The proxy library listens for its end, twice per upstream.
  publicServer.setMaxListeners(0);
  publicServer.on('request', (request, response) => {
    if (leaving) response.shouldKeepAlive = false;
    reception.request(request, response);
  });
  publicServer.on('upgrade', (request, socket, head) => reception.upgrade(request, socket, head));
  publicServer.on('clientError', createRefusal(rawProblem));
  publicServer.on('connect', (_request: IncomingMessage, socket: Duplex) =>
    endRaw(socket, rawProblem('method_not_allowed')),
  );

  const forwardAuthServer = createHttpServer(
    { maxHeaderSize: config.limits.headers, keepAliveTimeout: keepAliveTimeoutMs },
    (request, response) => {
      if (leaving) response.shouldKeepAlive = false;
      reception.forwardAuth(request, response);
    },
  );
  forwardAuthServer.on('clientError', createRefusal(rawProblem));

  const publicAddress = await listen(publicServer, config.listen);
  const forwardAuthAddress = config.forwardAuth && (await listen(forwardAuthServer, config.forwardAuth.listen));
  return {
    publicAddress,
    forwardAuthAddress,
    take(next) {
      generation = next;
      reception = createReception({ ...options, generation });
    },
    leave: () => void (leaving = true),
    async drain(graceMs) {
      leaving = true;
      options.parts.streams.drain();
      const deadline = setTimeout(() => {
        publicServer.closeAllConnections();
        forwardAuthServer.closeAllConnections();
      }, graceMs).unref();
      await Promise.all([close(publicServer), forwardAuthServer.listening ? close(forwardAuthServer) : undefined]);
      clearTimeout(deadline);
      await options.parts.close();
    },
  };
}

function createPublicServer({ generation: { config, audit }, metrics, log }: ServerOptions): HttpServer {
  const settings = {
    maxHeaderSize: config.limits.headers,
    keepAliveTimeout: keepAliveTimeoutMs,
    headersTimeout: headersTimeoutMs,
    // A large upload may take as long as it takes; the head of a request may not.
    requestTimeout: 0,
    noDelay: true,
    // Where no body was announced, nobody waits for the end of one.
    optimizeEmptyRequests: true,
  };
  if (config.tls === undefined) return createHttpServer(settings);
  const host = new URL(config.publicUrl).hostname;
  return createTlsServer(settings, { files: config.tls, host, wallNow: Date.now, metrics, audit, log });
}

// What Node's parser refuses has no response object.
function createRefusal(rawProblem: Generation['rawProblem']): (error: NodeJS.ErrnoException, socket: Duplex) => void {
  return (error, socket) => {
    const code = error.code === 'HPE_HEADER_OVERFLOW' ? 'headers_too_large' : 'bad_request';
    // Of all that arrives here only the parser's word (HPE_…) is about bytes of a client's. A head that did not come in time is nobody's mistake that could be
    // named, since this process itself may have stood still; and into a TLS handshake that failed no answer can be written.
    const isUnreadable = error.code?.startsWith('HPE_') === true;
    if (!isUnreadable || !socket.writable) socket.destroy();
    else endRaw(socket, rawProblem(code));
  };
}

// While another answer is under way on the same connection, nothing may be written: it would be taken for that answer, or for a part of it.
function endRaw(socket: Duplex, response: string): void {
  // After CONNECT nobody else listens: without this a reset in answer to our answer would end the process.
  socket.on('error', () => socket.destroy());
  if (isAnswerUnderWay(socket)) socket.destroy();
  else socket.end(response, () => socket.destroy());
}
