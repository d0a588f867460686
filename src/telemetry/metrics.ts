// The counters that operators look at first. They are counted where an outcome is switched over, never inside the steps.
import { AggregatorRegistry, Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

// OpenTelemetry's advice for HTTP.
const latencyBuckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
// A refresh has 25 seconds, and who waits for one 15.
const refreshBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 25];

// Repeats EndReason of the store, which stands above: imports point down.
const endReasons = ['logout', 'replaced', 'revoked', 'back-channel', 'front-channel', 'limit', 'admin'];

export type Metrics = ReturnType<typeof createMetrics>;

/** What one process has counted, as it travels to another. */
export type Figures = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

type Named = { name: string; help: string };

/** All metrics of one process, in a registry of their own so that tests do not share them. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  /** A gauge that is a plain number until somebody asks: for what changes with every request. */
  function tally(gauge: Named): { value: number } {
    const tally = { value: 0 };
    new Gauge({
      ...gauge,
      registers,
      collect() {
        this.set(tally.value);
      },
    });
    return tally;
  }

  /** A counter whose labels are all there from the start: Prometheus' increase() does not see the one with which a series begins. */
  function counterBy<Label extends string>(label: Label, counter: Named, known: readonly string[]): Counter<Label> {
    const counted = new Counter({ ...counter, labelNames: [label], registers });
    for (const value of known) counted.labels(value).inc(0);
    return counted;
  }

  const outcomes = (counter: Named, known: readonly string[]) => counterBy('outcome', counter, known);

  return {
    registry,
    requestDuration: new Histogram({
      name: 'http_server_request_duration_seconds',
      help: 'Requests on the public listener, by configured route and status.',
      labelNames: ['http_request_method', 'http_route', 'http_response_status_code'] as const,
      buckets: latencyBuckets,
      registers,
    }),
    activeRequests: tally({
      name: 'http_server_active_requests',
      help: 'Requests under way on the public listener, open WebSockets and streams included.',
    }),
    clientRequestDuration: new Histogram({
      name: 'http_client_request_duration_seconds',
      help: 'Calls of Postern’s own to upstreams and to the provider, until the head of the answer.',
      labelNames: ['server_address', 'http_response_status_code'] as const,
      buckets: latencyBuckets,
      registers,
    }),
    logins: outcomes({ name: 'postern_logins_total', help: 'Logins that came back from the provider, by outcome.' }, [
      'signed-in',
      'refused',
      'invalid',
      'unavailable',
      'unknown',
    ]),
    logouts: counterBy('reason', { name: 'postern_logouts_total', help: 'Sessions ended, by reason.' }, endReasons),
    refreshes: outcomes({ name: 'postern_token_refresh_total', help: 'Refreshes that this process led, by outcome.' }, [
      'refreshed',
      'ended',
      'misconfigured',
      'unavailable',
      'superseded',
      'signed-out',
    ]),
    refreshDuration: new Histogram({
      name: 'postern_token_refresh_duration_seconds',
      help: 'How long the refreshes took that this process led, by outcome.',
      labelNames: ['outcome'] as const,
      buckets: refreshBuckets,
      registers,
    }),
    refreshWait: new Histogram({
      name: 'postern_token_refresh_wait_seconds',
      help: 'How long requests waited for a refresh, their own or another’s.',
      buckets: refreshBuckets,
      registers,
    }),
    breakerOpen: new Gauge({
      name: 'postern_provider_breaker_open',
      help: '1 while the provider’s token endpoint is not called because it keeps failing, by what for.',
      labelNames: ['grant'] as const,
      // Of several workers, whether there is one that does not call.
      aggregator: 'max',
      registers,
    }),
    takeovers: new Counter({
      name: 'postern_token_refresh_takeovers_total',
      help: 'Refreshes begun after another attempt had passed its deadline.',
      registers,
    }),
    resends: new Counter({
      name: 'postern_token_refresh_resends_total',
      help: 'Refresh tokens sent a second time because no answer came.',
      registers,
    }),
    unreadableSessions: new Counter({
      name: 'postern_sessions_unreadable_total',
      help: 'Records that no key of ours opens; they are kept.',
      registers,
    }),
    keyReloads: outcomes(
      {
        name: 'postern_session_key_reloads_total',
        help: 'Changes of the session keys in their files, by whether they were taken over.',
      },
      ['taken', 'refused'],
    ),
    certificateReloads: outcomes(
      {
        name: 'postern_tls_certificate_reloads_total',
        help: 'Changes of the certificate of our own in its files, by whether they were taken over.',
      },
      ['taken', 'refused'],
    ),
    certificateNotAfter: new Gauge({
      name: 'postern_tls_certificate_not_after_seconds',
      help: 'When the certificate in use ends, as Unix time.',
      labelNames: ['host'] as const,
      // Of several workers the one that is worst off.
      aggregator: 'min',
      registers,
    }),
    configReloads: outcomes(
      {
        name: 'postern_config_reloads_total',
        help: 'Changed configurations, and those that were to be read again, by whether they were taken over.',
      },
      ['taken', 'refused'],
    ),
    configReloadedAt: new Gauge({
      name: 'postern_config_last_reload_success_timestamp_seconds',
      help: 'When the configuration in force was taken over, as Unix time.',
      registers,
    }),
    workerReplacements: new Counter({
      name: 'postern_worker_replacements_total',
      help: 'Workers that have ended by themselves and were replaced.',
      registers,
    }),
    crossSiteRejections: new Counter({
      name: 'postern_csrf_rejections_total',
      help: 'Requests refused by the cross-site rule.',
      registers,
    }),
    storeErrors: new Counter({
      name: 'postern_session_store_errors_total',
      help: 'Store operations without an answer.',
      registers,
    }),
    storeDuration: new Histogram({
      name: 'postern_session_store_operation_duration_seconds',
      help: 'Store operations, by operation and by whether there was an answer.',
      labelNames: ['operation', 'outcome'] as const,
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers,
    }),
    nearCacheLookups: new Counter({
      name: 'postern_near_cache_lookups_total',
      help: 'Sessions looked for in this process, by whether they were there.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    nearCacheSessions: new Gauge({
      name: 'postern_near_cache_sessions',
      help: 'Sessions that this process keeps opened: those used within the last seconds.',
      registers,
    }),
    upstreamErrors: new Counter({
      name: 'postern_upstream_errors_total',
      help: 'Requests that an upstream did not answer, by route and code.',
      labelNames: ['http_route', 'code'] as const,
      registers,
    }),
    replays: new Counter({
      name: 'postern_upstream_replays_total',
      help: 'Calls sent again with another token after a 401, by route and by whether the upstream took it.',
      labelNames: ['http_route', 'outcome'] as const,
      registers,
    }),
    retries: new Counter({
      name: 'postern_upstream_retries_total',
      help: 'Calls sent again because their idle connection was closed under them, by route.',
      labelNames: ['http_route'] as const,
      registers,
    }),
    shed: new Counter({
      name: 'postern_requests_shed_total',
      help: 'Requests refused because there were too many, by route and code.',
      labelNames: ['http_route', 'code'] as const,
      registers,
    }),
    eventStreams: new Gauge({
      name: 'postern_event_streams',
      help: 'Event streams that are open.',
      registers,
    }),
    websockets: new Gauge({
      name: 'postern_websockets',
      help: 'WebSockets that are open.',
      registers,
    }),
    websocketRefusals: new Counter({
      name: 'postern_websocket_refusals_total',
      help: 'WebSocket handshakes that did not come about, by code; upstream: it said no itself.',
      labelNames: ['code'] as const,
      registers,
    }),
    websocketCloses: new Counter({
      name: 'postern_websocket_closes_total',
      help: 'WebSockets that were open and are no more, by who or what ended them.',
      labelNames: ['reason'] as const,
      registers,
    }),
    degraded: new Gauge({
      name: 'postern_degraded',
      help: '1 while a part that Postern depends on is out of reach.',
      labelNames: ['part'] as const,
      registers,
    }),
  };
}

/** Several processes as one, in Prometheus' text format: what they have counted is added up. */
export function expositionOf(figures: readonly Figures[]): Promise<string> {
  return AggregatorRegistry.aggregate([...figures]).metrics();
}

/** What stays counted when a process has ended, added up: without it counters would fall, which reads as a restart of everything. */
export function countedBy(figures: readonly Figures[]): Promise<Figures> {
  const counted = figures.map((process) => process.filter(({ type }) => String(type) !== 'gauge'));
  return AggregatorRegistry.aggregate(counted).getMetricsAsJSON();
}
