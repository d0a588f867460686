// The listeners. Every public request is begun here, its host and path checked, and then goes to the API lane, to Express or to the app's files.
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server as HttpServer, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { App } from './app.ts';
import { isUnder } from './config/path-prefix.ts';
import { methods } from './config/route-schema.ts';
import type { Config, ListenAddress } from './config/schema.ts';
import { PosternError } from './errors.ts';
import { createFramingGuard } from './http/framing.ts';
import { createOperations } from './http/health.ts';
import { contextFor } from './http/request-context.ts';
import { canonicalPath } from './proxy/canonical-path.ts';
import type { Target } from './proxy/admission.ts';
import type { Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** A running Postern. */
export interface Server {
  /** Where the public listener is, for people: `http://host:port`. */
  publicAddress: string;
  operationsAddress: string;
  /** Stops accepting, lets requests and refreshes finish for at most `graceMs`, closes everything. */
  drain(graceMs: number): Promise<void>;
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

  const publicServer = createHttpServer({
    maxHeaderSize: config.limits.headers,
    keepAliveTimeout: keepAliveTimeoutMs,
    headersTimeout: headersTimeoutMs,
    // A large upload may take as long as it takes; the head of a request may not.
    requestTimeout: 0,
    noDelay: true,
  });
  // The proxy library listens for its end, once per upstream.
  publicServer.setMaxListeners(0);
  publicServer.on('request', createPublicHandler(options));
  publicServer.on('clientError', createRefusal(app));
  publicServer.on('connect', (_request: IncomingMessage, socket: Duplex) =>
    endRaw(socket, app.rawProblem('method_not_allowed')),
  );

  const operations = createOperations({
    health: () => ({ ready: !draining && app.started(), parts: app.parts() }),
    metrics,
    admin: app.admin,
  });
  const operationsServer = createHttpServer(operations);

  const publicAddress = await listen(publicServer, config.listen);
  const operationsAddress = await listen(operationsServer, config.operations.listen);
  log.info({ publicUrl: config.publicUrl, listen: publicAddress, operations: operationsAddress }, 'listening');

  return {
    publicAddress,
    operationsAddress,
    async drain(graceMs) {
      draining = true;
      app.closeStreams();
      const deadline = setTimeout(() => publicServer.closeAllConnections(), graceMs).unref();
      await close(publicServer);
      clearTimeout(deadline);
      await app.close();
      operationsServer.closeAllConnections();
      await close(operationsServer);
    },
  };
}

function createPublicHandler({ config, app, metrics, log, monotonicNow }: ServerOptions): RequestListener {
  const hosts = acceptedHosts(config.publicUrl);
  const scheme = new URL(config.publicUrl).protocol.slice(0, -1);
  const judgeFraming = createFramingGuard();
  const refuse = app.sendProblem;

  function dispatch(request: IncomingMessage, response: ServerResponse): void {
    switch (judgeFraming(request)) {
      case 'ignore':
        return;
      case 'close':
        refuse(request, response, new PosternError('bad_request', { headers: { connection: 'close' } }));
        return;
      case 'pass':
        route(request, response);
    }
  }

  function route(request: IncomingMessage, response: ServerResponse): void {
    const target = canonicalPath(request.url ?? '');
    if (!isForUs(request, hosts)) {
      refuse(request, response, new PosternError('misdirected'));
    } else if (request.method === 'TRACE') {
      refuse(request, response, new PosternError('method_not_allowed', { headers: { allow: methods.join(', ') } }));
    } else if (target.kind === 'malformed') {
      refuse(request, response, new PosternError('bad_request'));
    } else if (isUnder(target.path, config.basePath)) {
      // express-session and Express believe this header (`proxy: true`); what the browser sees is publicUrl, whatever the hop here was.
      request.headers['x-forwarded-proto'] = scheme;
      app.express(request, response);
    } else {
      serve(request, response, target);
    }
  }

  function serve(request: IncomingMessage, response: ServerResponse, target: Target): void {
    const match = app.routes.match(target.path);
    switch (match.kind) {
      case 'route':
        app.lane(request, response, { match, target });
        return;
      case 'ambiguous':
        refuse(request, response, new PosternError('bad_request'));
        return;
      case 'none':
        app.spa(request, response, target);
    }
  }

  return (request, response) => {
    const context = app.begin(request);
    const path = request.url?.split('?', 1)[0]?.slice(0, 512); // Later it is the upstream's.
    response.once('close', () => {
      const durationMs = monotonicNow() - context.startedAt;
      const labels = {
        http_request_method: request.method ?? '',
        http_route: context.route,
        http_response_status_code: String(response.statusCode),
      };
      metrics.requestDuration.observe(labels, durationMs / 1000);
      if (config.log.access) log.info(accessLine(request, response, { path, durationMs }), 'request');
    });
    try {
      dispatch(request, response);
    } catch (cause) {
      log.error({ err: cause, requestId: context.requestId }, 'a request failed in a way that is a defect');
      app.sendProblem(request, response, new PosternError('internal_error', { cause }));
    }
  };
}

// No header and no query: a callback's query holds a code, and an app's may hold anything.
function accessLine(
  request: IncomingMessage,
  response: ServerResponse,
  { path, durationMs }: { path: string | undefined; durationMs: number },
) {
  const context = contextFor(request);
  return {
    requestId: context.requestId,
    method: request.method,
    path,
    route: context.route,
    status: response.statusCode,
    completed: response.writableFinished,
    durationMs: Math.round(durationMs * 10) / 10,
    client: context.clientAddress,
    ...(context.errorCode === undefined ? {} : { code: context.errorCode }),
  };
}

function acceptedHosts(publicUrl: string): ReadonlySet<string> {
  const { protocol, hostname, host } = new URL(publicUrl);
  return new Set([host, ...(host === hostname ? [`${hostname}:${protocol === 'https:' ? '443' : '80'}`] : [])]);
}

// Node keeps the first of two Host headers; a proxy in front may have believed the second.
function isForUs(request: IncomingMessage, hosts: ReadonlySet<string>): boolean {
  const { rawHeaders } = request;
  let seen = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.length === 4 && rawHeaders[index]?.toLowerCase() === 'host') seen += 1;
  }
  return seen === 1 && hosts.has(request.headers.host?.toLowerCase() ?? '');
}

// What Node's parser refuses has no response object. While another answer is on its way on the same connection, nothing may be written into it.
function createRefusal(app: Pick<App, 'rawProblem'>): (error: NodeJS.ErrnoException, socket: Duplex) => void {
  return (error, socket) => {
    const answerUnderWay = (socket as { _httpMessage?: ServerResponse | null })._httpMessage?.headersSent === true;
    const code = error.code === 'HPE_HEADER_OVERFLOW' ? 'headers_too_large' : 'bad_request';
    if (error.code === 'ECONNRESET' || !socket.writable || answerUnderWay) socket.destroy();
    else endRaw(socket, app.rawProblem(code));
  };
}

function endRaw(socket: Duplex, response: string): void {
  // After CONNECT nobody else listens: without this a reset in answer to our answer would end the process.
  socket.on('error', () => socket.destroy());
  socket.end(response, () => socket.destroy());
}

async function listen(server: HttpServer, { host, port }: ListenAddress): Promise<string> {
  server.listen({ host, port });
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

async function close(server: HttpServer): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  await closed;
}
