// The listeners: what browsers, gateways and operators reach, and how it stops.
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { App } from './app.ts';
import type { Config } from './config/schema.ts';
import { startOperations } from './http/health.ts';
import { close, listen } from './http/listener.ts';
import { createTlsServer } from './http/tls-server.ts';
import { createReception, observed } from './reception.ts';
import type { Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** What browsers and gateways reach. */
export interface PublicListeners {
  /** Where the public listener is, for people: `http://host:port`, or https with `tls`. */
  publicAddress: string;
  /** Undefined unless `forwardAuth` is configured. */
  forwardAuthAddress: string | undefined;
  /** Stops accepting, lets requests and refreshes finish for at most `graceMs`, closes the app and what it holds. */
  drain(graceMs: number): Promise<void>;
}

/** A running Postern of one process. */
export interface Server extends PublicListeners {
  operationsAddress: string;
}

export interface ServerOptions {
  config: Config;
  app: App;
  metrics: Metrics;
  log: Logger;
  monotonicNow: () => number;
}

// Longer than the idle time-out of the usual load balancers, so that they, not we, close idle connections.
const keepAliveTimeoutMs = 75_000;
const headersTimeoutMs = 30_000;

export async function startServer(options: ServerOptions): Promise<Server> {
  const { config, app, metrics, log } = options;
  let draining = false;
  const listeners = await startPublicListeners(options);
  const { publicAddress, forwardAuthAddress } = listeners;
  const operations = await startOperations(config.operations.listen, {
    health: () => ({ ready: !draining && app.started(), parts: app.parts() }),
    exposition: () => metrics.registry.metrics(),
    metrics,
    admin: app.admin,
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
    async drain(graceMs) {
      draining = true;
      await listeners.drain(graceMs);
      await operations.close();
    },
  };
}

export async function startPublicListeners(options: ServerOptions): Promise<PublicListeners> {
  const { config, app } = options;
  const publicServer = createPublicServer(options);
  // The proxy library listens for its end, once per upstream.
  publicServer.setMaxListeners(0);
  const reception = createReception(options);
  publicServer.on('request', reception.request);
  publicServer.on('upgrade', reception.upgrade);
  publicServer.on('clientError', createRefusal(app));
  publicServer.on('connect', (_request: IncomingMessage, socket: Duplex) =>
    endRaw(socket, app.rawProblem('method_not_allowed')),
  );

  const forwardAuthServer = createHttpServer(
    { maxHeaderSize: config.limits.headers, keepAliveTimeout: keepAliveTimeoutMs },
    observed(app.forwardAuth, options),
  );
  forwardAuthServer.on('clientError', createRefusal(app));

  const publicAddress = await listen(publicServer, config.listen);
  const forwardAuthAddress = config.forwardAuth && (await listen(forwardAuthServer, config.forwardAuth.listen));
  return {
    publicAddress,
    forwardAuthAddress,
    async drain(graceMs) {
      app.closeStreams();
      const deadline = setTimeout(() => {
        publicServer.closeAllConnections();
        forwardAuthServer.closeAllConnections();
      }, graceMs).unref();
      await Promise.all([close(publicServer), forwardAuthServer.listening ? close(forwardAuthServer) : undefined]);
      clearTimeout(deadline);
      await app.close();
    },
  };
}

function createPublicServer({ config, metrics, log }: ServerOptions): HttpServer {
  const settings = {
    maxHeaderSize: config.limits.headers,
    keepAliveTimeout: keepAliveTimeoutMs,
    headersTimeout: headersTimeoutMs,
    // A large upload may take as long as it takes; the head of a request may not.
    requestTimeout: 0,
    noDelay: true,
  };
  if (config.tls === undefined) return createHttpServer(settings);
  const host = new URL(config.publicUrl).hostname;
  return createTlsServer(settings, { files: config.tls, host, wallNow: Date.now, metrics, log });
}

// What Node's parser refuses has no response object. While another answer is on its way on the same connection, nothing may be written into it.
function createRefusal(app: Pick<App, 'rawProblem'>): (error: NodeJS.ErrnoException, socket: Duplex) => void {
  return (error, socket) => {
    const answerUnderWay = (socket as { _httpMessage?: ServerResponse | null })._httpMessage?.headersSent === true;
    const code = error.code === 'HPE_HEADER_OVERFLOW' ? 'headers_too_large' : 'bad_request';
    // A head that did not come in time is nobody's mistake that could be named: this process itself may have stood still.
    const isLate = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    if (error.code === 'ECONNRESET' || isLate || !socket.writable || answerUnderWay) socket.destroy();
    else endRaw(socket, app.rawProblem(code));
  };
}

function endRaw(socket: Duplex, response: string): void {
  // After CONNECT nobody else listens: without this a reset in answer to our answer would end the process.
  socket.on('error', () => socket.destroy());
  socket.end(response, () => socket.destroy());
}
