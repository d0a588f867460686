// Days on which nobody is to be called: all series of pods that are well, while they come and go.

/** How long an ordinary day lasts, in samples. */
const day = 120;

/** A sample for each half minute that the pod lives, counted from its start; `stale` when it has gone. */
function living(from: number, to: number, sample: (age: number) => number | string): string {
  return Array.from({ length: day }, (_, i) => (i < from || i > to ? '_' : i === to ? 'stale' : sample(i - from))).join(
    ' ',
  );
}

/** All that the alerts look at, of a pod that is well. `count` turns what is counted in half a minute into the sample of that age. */
function pod(name: string, { from = 0, to = day }, count: (perSample: number, age: number) => number) {
  const labels = `instance="${name}", pod="postern-${name}"`;
  const gauge = (series: string, sample: (age: number) => number): [string, string] => [
    series.replace('}', `${series.includes('{}') ? '' : ', '}${labels}}`),
    living(from, to, sample),
  ];
  const counted = (series: string, perSample: number): [string, string] =>
    gauge(series, (age) => count(perSample, age));
  return Object.fromEntries([
    // It has not reached the store at its first sample, and the code is not warm.
    gauge('postern_degraded{part="store"}', (age) => (age === 0 ? 1 : 0)),
    gauge('postern_degraded{part="provider"}', () => 0),
    // From minute 8 on there is a configuration that only new pods can take over.
    gauge('postern_degraded{part="configuration"}', (age) => (from === 0 && to < day && age >= 16 ? 1 : 0)),
    gauge('nodejs_eventloop_lag_p99_seconds{}', (age) => (age === 0 ? 0.7 : 0.02)),
    gauge('postern_tls_certificate_not_after_seconds{host="shop.example.com"}', () => 60 * 86_400),
    counted('http_server_request_duration_seconds_count{http_route="/api", http_response_status_code="200"}', 300),
    counted('http_server_request_duration_seconds_count{http_route="/api", http_response_status_code="503"}', 1),
    counted('postern_logins_total{outcome="signed-in"}', 2),
    counted('postern_logins_total{outcome="invalid"}', 0),
    counted('postern_token_refresh_total{outcome="refreshed"}', 5),
    counted('postern_token_refresh_total{outcome="unavailable"}', 0),
    counted('postern_token_refresh_total{outcome="misconfigured"}', 0),
    counted('postern_upstream_errors_total{http_route="/api", code="upstream_timeout"}', 0.2),
    counted('postern_requests_shed_total{http_route="/api", code="overloaded"}', 0),
    counted('postern_csrf_rejections_total{}', 1),
    counted('postern_sessions_unreadable_total{}', 0),
    counted('postern_session_key_reloads_total{outcome="refused"}', 0),
    counted('postern_tls_certificate_reloads_total{outcome="refused"}', 0),
    counted('postern_worker_replacements_total{}', 0),
    ...['0.005', '0.1', '+Inf'].map((le) =>
      counted(`postern_session_store_operation_duration_seconds_bucket{operation="load", le="${le}"}`, 400),
    ),
  ]) as Record<string, string>;
}

const sinceStart = (perSample: number, age: number): number => perSample * age;
const names = ['a', 'b', 'c'];

/** Days on which nobody is to be called. */
export const ordinary: Record<string, Record<string, string>> = {
  'a rolling restart, pod by pod': Object.assign(
    {},
    ...names.map((name, i) => pod(`old-${name}`, { to: 20 + 4 * i }, (n, age) => 5_000 + sinceStart(n, age))),
    ...names.map((name, i) => pod(`new-${name}`, { from: 18 + 4 * i }, sinceStart)),
  ),
  'a night without traffic': Object.assign({}, ...names.map((name) => pod(name, {}, () => 5_000))),
  'a night without traffic after a day without any': Object.assign({}, ...names.map((name) => pod(name, {}, () => 0))),
  'a container that starts again, so that all it counts begins at zero': pod('a', {}, (n, age) =>
    age < 40 ? 5_000 + sinceStart(n, age) : sinceStart(n, age - 40),
  ),
};
