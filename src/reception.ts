// Where every public request is begun, and sent on: to the API lane, to Express, to the app's files, or up to a WebSocket. And where its end is seen.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Generation } from './app.ts';
import { PosternError } from './errors.ts';
import { judgeFraming } from './http/framing.ts';
import { contextFor } from './http/request-context.ts';
import type { RequestContext } from './http/request-context.ts';
import { responseToUpgrade } from './http/upgrade-response.ts';
import { createDestinations } from './proxy/destination.ts';
import type { Audit } from './telemetry/audit.ts';
import { moduleLog } from './telemetry/log.ts';
import type { Logger } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';
import type { RequestSpan } from './telemetry/tracing.ts';
import { readTraceparent } from './telemetry/traceparent.ts';

/** What a generation lets the public server and the one for gateways call. All of it answers every request, a defect included. */
export interface Reception {
  request: RequestListener;
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  forwardAuth: RequestListener;
}

export interface ReceptionOptions {
  generation: Generation;
  metrics: Metrics;
  log: Logger;
  monotonicNow: () => number;
}

export function createReception(options: ReceptionOptions): Reception {
  const { generation, metrics } = options;
  const { publicUrl, basePath } = generation.config;
  const scheme = new URL(publicUrl).protocol.slice(0, -1);
  const destinationOf = createDestinations({ publicUrl, basePath, routes: generation.routes });
  const refuse = generation.sendProblem;

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
        generation.express(request, response);
        return;
      case 'route':
        generation.lane(request, response, destination);
        return;
      case 'app':
        generation.spa(request, response, destination.target);
    }
  }

  function dispatchUpgrade(request: IncomingMessage, response: ServerResponse, head: Buffer): void {
    const framing = judgeFraming(request, 'upgrade');
    if (framing === 'pass') {
      const destination = destinationOf(request);
      if (destination.kind === 'refused') refuse(request, response, destination.error);
      else generation.upgrade(request, response, { destination, head });
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
    forwardAuth: observed(generation.forwardAuth, options),
  };
}

// Methods beyond these are rare, and Node's parser knows dozens: together they make one series (OpenTelemetry's semantic conventions for HTTP).
const commonMethods = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'TRACE',
  'QUERY',
]);

/** Begins every request, and sees its end: in the metrics, among the audit events, and as one line of the log. */
function observed(
  listener: RequestListener,
  { generation, metrics, log, monotonicNow }: ReceptionOptions,
): RequestListener {
  const { tracing } = generation;
  const requestLog = moduleLog(log, 'requests');

  function serve(request: IncomingMessage, response: ServerResponse): void {
    try {
      listener(request, response);
    } catch (cause) {
      log.error({ err: cause, requestId: contextFor(request).requestId }, 'a request failed in a way that is a defect');
      generation.sendProblem(request, response, new PosternError('internal_error', { cause }));
    }
  }

  return (request, response) => {
    const context = generation.begin(request);
    const path = request.url?.split('?', 1)[0]?.slice(0, 512); // Later it is the upstream's.
    let span: RequestSpan | undefined;
    metrics.activeRequests.value += 1;
    response.once('close', () => {
      metrics.activeRequests.value -= 1;
      const durationMs = monotonicNow() - context.startedAt;
      const method = commonMethods.has(request.method ?? '') ? (request.method ?? '') : '_OTHER';
      const { route, requestId, errorCode: code } = context;
      const { statusCode: status } = response;
      const labels = { http_request_method: method, http_route: route, http_response_status_code: String(status) };
      metrics.requestDuration.observe(labels, durationMs / 1000);
      if (context.tokenMs > 0) metrics.refreshWait.observe(context.tokenMs / 1000);
      tellRefusal(context, generation.audit);
      span?.end({ method, route, status, requestId, code });
      if (generation.config.log.access && requestLog.isLevelEnabled('info'))
        requestLog.info(accessLine(request, response, { path, durationMs, span }), 'request');
    });
    if (tracing === undefined) {
      serve(request, response);
      return;
    }
    tracing.request(request.headers.traceparent, (begun) => {
      span = begun;
      serve(request, response);
    });
  };
}

function tellRefusal(context: RequestContext, audit: Audit): void {
  if (context.errorCode === 'csrf_rejected') audit('csrf_rejected', { request: context, route: context.route });
  else if (context.errorCode === 'forbidden') audit('access_denied', { request: context, route: context.route });
}

// No header and no query: a callback's query holds a code, and an app's may hold anything.
function accessLine(
  request: IncomingMessage,
  response: ServerResponse,
  { path, durationMs, span }: { path: string | undefined; durationMs: number; span: RequestSpan | undefined },
) {
  const context = contextFor(request);
  return {
    requestId: context.requestId,
    // As OpenTelemetry names it in logs, so that tools find it.
    trace_id: span?.traceId ?? readTraceparent(request.headers.traceparent)?.traceId,
    method: request.method,
    path,
    route: context.route,
    status: response.statusCode,
    ...(context.closedBy === undefined ? { completed: response.writableFinished } : { closedBy: context.closedBy }),
    durationMs: tenths(durationMs),
    ...(context.sessionMs > 0 && { sessionMs: tenths(context.sessionMs) }),
    ...(context.tokenMs > 0 && { tokenMs: tenths(context.tokenMs) }),
    ...(context.upstreamMs > 0 && { upstreamMs: tenths(context.upstreamMs) }),
    client: context.clientAddress,
    ...(context.errorCode === undefined ? {} : { code: context.errorCode }),
  };
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
