// Connections whose calls are timed and counted, so that neither those who send nor what they send on know of that.
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { contextFor } from '../http/request-context.ts';
import type { RequestContext } from '../http/request-context.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { CallSpan, Tracing } from '../telemetry/tracing.ts';
import type { Exchange, UpgradeExchange, UpstreamConnections } from './upstream-connections.ts';

export interface ObservedConnectionsOptions {
  metrics: Pick<Metrics, 'clientRequestDuration'>;
  log: Logger;
  tracing: Tracing | undefined;
  /** Monotonic, ms. */
  now: () => number;
}

/** The same connections. What a call takes until the head of its answer is added to its request's `upstreamMs`. */
export function observeConnections(
  connections: UpstreamConnections,
  { metrics, log, tracing, now }: ObservedConnectionsOptions,
): UpstreamConnections {
  /** `outgoing` is `request`, or what is sent in its place. */
  function begin(server: string, request: IncomingMessage, outgoing: IncomingMessage): CallWatch {
    const span = tracing?.call(request.method ?? '', server);
    if (span !== undefined) outgoing.headers.traceparent = span.traceparent;
    return new CallWatch({ server, now, over }, contextFor(request), span);
  }

  function over(server: string, status: number | undefined, ms: number, { requestId }: RequestContext): void {
    const labels = { server_address: server, http_response_status_code: status === undefined ? '' : String(status) };
    metrics.clientRequestDuration.observe(labels, ms / 1000);
    if (log.isLevelEnabled('debug'))
      log.debug({ requestId, upstream: server, status, ms: Math.round(ms * 10) / 10 }, 'called an upstream');
  }

  return {
    to(upstream) {
      const connection = connections.to(upstream);
      return {
        // A request that is sent again is another object; its response always knows the first.
        send: (request, response, exchange) =>
          connection.send(
            request,
            response,
            new WatchedExchange(exchange, begin(upstream.authority, response.req, request)),
          ),
      };
    },
    upgradesTo(upstream) {
      const connection = connections.upgradesTo(upstream);
      return {
        upgrade: (request, head, exchange) =>
          connection.upgrade(request, head, new WatchedUpgrade(exchange, begin(upstream.authority, request, request))),
      };
    },
    keepOnly: (upstreams) => connections.keepOnly(upstreams),
    close: () => connections.close(),
  };
}

interface CallSurroundings {
  server: string;
  now: () => number;
  over: (server: string, status: number | undefined, ms: number, context: RequestContext) => void;
}

/** One call, from its sending to the head of its answer or to its failure, whichever comes first. */
class CallWatch {
  readonly #surroundings: CallSurroundings;
  readonly #context: RequestContext;
  readonly #span: CallSpan | undefined;
  readonly #startedAt: number;
  #isOver = false;

  constructor(surroundings: CallSurroundings, context: RequestContext, span: CallSpan | undefined) {
    this.#surroundings = surroundings;
    this.#context = context;
    this.#span = span;
    this.#startedAt = surroundings.now();
  }

  /** `status` is undefined when no answer came. */
  end(status: number | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { server, now, over } = this.#surroundings;
    const ms = now() - this.#startedAt;
    this.#context.upstreamMs += ms;
    over(server, status, ms, this.#context);
    this.#span?.end(status);
  }
}

class WatchedExchange implements Exchange {
  readonly #exchange: Exchange;
  readonly #watch: CallWatch;

  constructor(exchange: Exchange, watch: CallWatch) {
    this.#exchange = exchange;
    this.#watch = watch;
  }

  connected(upstreamRequest: ClientRequest): void {
    this.#exchange.connected(upstreamRequest);
  }

  answered(upstreamResponse: IncomingMessage): void {
    this.#watch.end(upstreamResponse.statusCode);
    this.#exchange.answered(upstreamResponse);
  }

  failed(error: NodeJS.ErrnoException): void {
    this.#watch.end(undefined);
    this.#exchange.failed(error);
  }
}

class WatchedUpgrade implements UpgradeExchange {
  readonly #exchange: UpgradeExchange;
  readonly #watch: CallWatch;

  constructor(exchange: UpgradeExchange, watch: CallWatch) {
    this.#exchange = exchange;
    this.#watch = watch;
  }

  connected(upstreamRequest: ClientRequest): void {
    this.#exchange.connected(upstreamRequest);
  }

  switched(upstreamResponse: IncomingMessage, upstreamSocket: Socket): OutgoingHttpHeaders {
    this.#watch.end(upstreamResponse.statusCode);
    return this.#exchange.switched(upstreamResponse, upstreamSocket);
  }

  refused(upstreamResponse: IncomingMessage): OutgoingHttpHeaders {
    this.#watch.end(upstreamResponse.statusCode);
    return this.#exchange.refused(upstreamResponse);
  }

  failed(error: NodeJS.ErrnoException): void {
    this.#watch.end(undefined);
    this.#exchange.failed(error);
  }
}
