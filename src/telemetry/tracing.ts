// Spans (OpenTelemetry), sent to an OTLP endpoint over HTTP. This file is loaded only when they are asked for: without it they cost nothing.
// A span holds names that the configuration knows, a status and a duration: no path, no query, no header, no session.
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import type { Attributes, Context, Span } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { TracingSettings } from '../config/tracing.ts';
import type { Logger } from './log.ts';
import { readTraceparent } from './traceparent.ts';

/** The span of a request that somebody makes of us. */
export interface RequestSpan {
  readonly traceId: string;
  end(answer: { method: string; route: string; status: number; requestId: string; code: string | undefined }): void;
}

/** The span of a request that we make of somebody. */
export interface CallSpan {
  /** The header that tells of it (W3C Trace Context). */
  readonly traceparent: string;
  /** `status` is undefined when no answer came. */
  end(status: number | undefined): void;
}

export interface Tracing {
  /** Serves a request within a span of its own, which belongs to the trace that its `traceparent` names. */
  request(traceparent: string | string[] | undefined, serve: (span: RequestSpan) => void): void;
  /** Does something within a span of the request that it is done for. */
  around<Result>(name: string, run: () => Promise<Result>): Promise<Result>;
  /** Begins a call of `server`, a host and port. */
  call(method: string, server: string): CallSpan;
  /** Sends what has not been sent, and waits for that no longer than for any other sending. */
  close(): Promise<void>;
}

/** Which process it is that makes the spans. */
export interface TracingProcess {
  /** Like no other's. */
  id: string;
  /** Which of several workers; undefined when it is the only process that serves. */
  worker: number | undefined;
}

/** Starts to send spans to where the environment says: the exporter reads its OTEL_EXPORTER_OTLP_… variables itself. One per process. */
export function startTracing(
  { ratio, isParentBased, timeoutMs }: TracingSettings,
  { id, worker }: TracingProcess,
  log: Logger,
): Tracing {
  const root = ratio === 0 ? new AlwaysOffSampler() : new TraceIdRatioBasedSampler(ratio);
  const exporter = new OTLPTraceExporter(timeoutMs === undefined ? {} : { timeoutMillis: timeoutMs });
  const provider = new TracerProvider({
    sampler: isParentBased ? new ParentBasedSampler({ root }) : root,
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'postern', 'service.instance.id': id }))
      .merge(detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] }))
      // The environment is that of all workers, and may name one instance for them.
      .merge(resourceFromAttributes(worker === undefined ? {} : { 'postern.worker': worker })),
    spanProcessors: [new BatchSpanProcessor({ exporter: saysWhenItFails(exporter, log) })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const tracer = provider.getTracer('postern');
  const begin = (name: string, kind: SpanKind, attributes: Attributes, parent: Context): Span =>
    tracer.startSpan(name, { kind, attributes }, parent);

  return {
    request(traceparent, serve) {
      const span = begin('request', SpanKind.SERVER, {}, contextOf(traceparent));
      const served: RequestSpan = {
        traceId: span.spanContext().traceId,
        end({ method, route, status, requestId, code }) {
          span.updateName(route === '' ? method : `${method} ${route}`);
          span.setAttributes({
            'http.request.method': method,
            'http.response.status_code': status,
            ...(route !== '' && { 'http.route': route }),
            ...(code !== undefined && { 'error.type': code }),
            'postern.request_id': requestId,
          });
          if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
          span.end();
        },
      };
      context.with(trace.setSpan(ROOT_CONTEXT, span), () => serve(served));
    },

    async around(name, run) {
      const span = begin(name, SpanKind.INTERNAL, {}, context.active());
      try {
        return await context.with(trace.setSpan(context.active(), span), run);
      } catch (error) {
        // Its message may say anything; its name is ours or Node's.
        span.setAttribute('error.type', error instanceof Error ? error.name : 'unknown');
        span.setStatus({ code: SpanStatusCode.ERROR });
        throw error;
      } finally {
        span.end();
      }
    },

    call(method, server) {
      const span = begin(
        method,
        SpanKind.CLIENT,
        { 'http.request.method': method, 'server.address': server },
        context.active(),
      );
      return {
        traceparent: traceparentOf(span),
        end(status) {
          if (status !== undefined) span.setAttribute('http.response.status_code', status);
          if (status === undefined || status >= 400) span.setStatus({ code: SpanStatusCode.ERROR });
          span.end();
        },
      };
    },

    async close() {
      // Who cannot be reached now does not keep the process.
      await provider.shutdown().catch(() => undefined);
    },
  };
}

// Once, until it works again: spans come every few seconds.
function saysWhenItFails(exporter: SpanExporter, log: Logger): SpanExporter {
  let isFailing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const hasFailed = result.error !== undefined;
        if (hasFailed && !isFailing) log.warn({ err: result.error }, 'spans cannot be sent, and are dropped');
        if (!hasFailed && isFailing) log.info('spans can be sent again');
        isFailing = hasFailed;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}

function contextOf(traceparent: string | string[] | undefined): Context {
  const parent = readTraceparent(traceparent);
  if (parent === undefined) return ROOT_CONTEXT;
  const { traceId, parentId, flags } = parent;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: parentId, traceFlags: flags, isRemote: true });
}

function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}
