// Where every public request is begun, and sent on: to the API lane, to Express, to the app's files, or up to a WebSocket. And where its end is seen.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { App } from './app.ts';
import type { Config } from './config/schema.ts';
import { PosternError } from './errors.ts';
import { createFramingGuard } from './http/framing.ts';
import { contextFor } from './http/request-context.ts';
import { responseToUpgrade } from './http/upgrade-response.ts';
import { createDestinations } from './proxy/destination.ts';
import type { Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';

/** What listens on the public server. Both answer every request, a defect included. */
export interface Reception {
  request: RequestListener;
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

export interface ReceptionOptions {
  config: Config;
  app: App;
  metrics: Metrics;
  log: Logger;
  monotonicNow: () => number;
}

export function createReception(options: ReceptionOptions): Reception {
  const { config, app, metrics } = options;
  const { publicUrl, basePath } = config;
  const scheme = new URL(publicUrl).protocol.slice(0, -1);
  const judgeFraming = createFramingGuard();
  const destinationOf = createDestinations({ publicUrl, basePath, routes: app.routes });
  const refuse = app.sendProblem;

  function refuseFraming(request: IncomingMessage, response: ServerResponse): void {
    refuse(request, response, new PosternError('bad_request', { headers: { connection: 'close' } }));
  }

  function dispatch(request: IncomingMessage, response: ServerResponse): void {
    const framing = judgeFraming(request, 'answer');
    if (framing === 'ignore') return;
    if (framing === 'close') {
      refuseFraming(request, response);
      return;
    }
    const destination = destinationOf(request);
    switch (destination.kind) {
      case 'refused':
        refuse(request, response, destination.error);
        return;
      case 'own':
        // express-session and Express believe this header (`proxy: true`); what the browser sees is publicUrl, whatever the hop here was.
        request.headers['x-forwarded-proto'] = scheme;
        app.express(request, response);
        return;
      case 'route':
        app.lane(request, response, { match: destination, target: destination.target });
        return;
      case 'app':
        app.spa(request, response, destination.target);
    }
  }

  function dispatchUpgrade(request: IncomingMessage, response: ServerResponse, head: Buffer): void {
    const framing = judgeFraming(request, 'upgrade');
    if (framing === 'pass') {
      const destination = destinationOf(request);
      if (destination.kind === 'refused') refuse(request, response, destination.error);
      else app.upgrade(request, response, { destination, head });
    } else if (framing === 'close') {
      refuseFraming(request, response);
    } else {
      request.socket.destroy();
    }
  }

  return {
    request: observed(dispatch, options),
    upgrade(request, _socket, head) {
      const response = responseToUpgrade(request);
      if (response === undefined) return;
      response.once('close', () => {
        if (response.statusCode === 101) return;
        metrics.websocketRefusals.inc({ code: contextFor(request).errorCode ?? 'upstream' });
      });
      observed((request, response) => dispatchUpgrade(request, response, head), options)(request, response);
    },
  };
}

/** Begins every request, and sees its end: in the metrics, and as one line of the log. */
export function observed(
  listener: RequestListener,
  { config, app, metrics, log, monotonicNow }: ReceptionOptions,
): RequestListener {
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
      listener(request, response);
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
    ...(context.closedBy === undefined ? { completed: response.writableFinished } : { closedBy: context.closedBy }),
    durationMs: Math.round(durationMs * 10) / 10,
    client: context.clientAddress,
    ...(context.errorCode === undefined ? {} : { code: context.errorCode }),
  };
}
