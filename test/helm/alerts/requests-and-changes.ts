// Requests that end badly, and changes of configuration, keys and certificates that do.
import { degraded, pod, throughout } from './scenario.ts';
import type { Scenarios } from './scenario.ts';

const status = (code: number): string =>
  `http_server_request_duration_seconds_count{http_route="/api", http_response_status_code="${code}"}`;

export const requestsAndChanges: Scenarios = {
  PosternServerErrors: [
    {
      what: 'fires when one request in ten to a route ends with 5xx',
      series: { [status(502)]: '0+1x40', [status(200)]: '0+9x40' },
      at: ['10m'],
      fires: { http_route: '/api' },
    },
    {
      what: 'is silent when one in fifty does',
      series: { [status(502)]: '0+1x40', [status(200)]: '0+49x40' },
      at: throughout(0, 20),
    },
    {
      what: 'is silent about the only request of a night, which failed',
      series: { [status(502)]: '0x10 1x40' },
      at: throughout(0, 20),
    },
    {
      what: 'is silent about 4xx',
      series: { [status(401)]: '0+100x40', [status(200)]: '0+9x40' },
      at: throughout(0, 20),
    },
  ],
  PosternUpstreamErrors: [
    {
      what: 'fires when an upstream fails twelve times a minute',
      series: { 'postern_upstream_errors_total{http_route="/api", code="upstream_timeout"}': '0+6x40' },
      at: ['12m'],
      fires: { http_route: '/api', code: 'upstream_timeout' },
    },
    {
      what: 'is silent when it fails four times a minute',
      series: { 'postern_upstream_errors_total{http_route="/api", code="upstream_timeout"}': '0+2x40' },
      at: throughout(0, 20),
    },
  ],
  PosternRequestsShed: [
    {
      what: 'fires when requests are refused for want of room all the time',
      series: { 'postern_requests_shed_total{http_route="/api", code="overloaded"}': '0+1x40' },
      at: ['6m'],
      fires: { http_route: '/api', code: 'overloaded' },
    },
    {
      what: 'is silent about one burst',
      series: { 'postern_requests_shed_total{http_route="/api", code="overloaded"}': '0x5 50x40' },
      at: throughout(0, 20),
    },
  ],
  PosternCrossSiteRequests: [
    {
      what: 'fires when two requests a second come from other sites',
      series: { postern_csrf_rejections_total: '0+60x60' },
      at: ['16m'],
      fires: {},
    },
    {
      what: 'is silent when one in two seconds does',
      series: { postern_csrf_rejections_total: '0+15x60' },
      at: throughout(0, 30),
    },
  ],
  PosternSessionsUnreadable: [
    {
      what: 'fires when sessions cannot be opened for half an hour',
      series: { postern_sessions_unreadable_total: '0+1x100' },
      at: ['31m'],
      fires: {},
    },
    {
      what: 'is silent about a change of keys that takes ten minutes to reach every pod',
      series: { postern_sessions_unreadable_total: '0x4 5+5x20 105x80' },
      at: throughout(0, 50),
    },
  ],
  PosternConfigurationRefused: [
    {
      what: 'fires when a changed configuration has been refused for a quarter of an hour',
      series: { [degraded('configuration')]: '0x1 1x40' },
      at: ['16m'],
      fires: pod,
    },
    {
      what: 'is silent while a rollout replaces the pods that refuse it',
      series: { [degraded('configuration')]: '0x1 1x25 stale' },
      at: throughout(0, 30),
    },
  ],
  PosternKeysRefused: [
    {
      what: 'fires at once',
      series: { 'postern_session_key_reloads_total{outcome="refused"}': '0x4 1x4' },
      at: ['3m'],
      fires: {},
    },
    {
      what: 'is silent about keys that are taken over',
      series: { 'postern_session_key_reloads_total{outcome="taken"}': '0x4 1x40' },
      at: throughout(0, 20),
    },
  ],
  PosternCertificateRefused: [
    {
      what: 'fires at once',
      series: { 'postern_tls_certificate_reloads_total{outcome="refused"}': '0x4 1x4' },
      at: ['3m'],
      fires: {},
    },
    {
      what: 'is silent about a renewal',
      series: { 'postern_tls_certificate_reloads_total{outcome="taken"}': '0x4 1x40' },
      at: throughout(0, 20),
    },
  ],
  // promtool's clock begins at 0.
  PosternCertificateExpires: [
    {
      what: 'fires six days before the end',
      series: { 'postern_tls_certificate_not_after_seconds{host="shop.example.com"}': `${6 * 86_400}x130` },
      at: ['60m'],
      fires: { host: 'shop.example.com' },
    },
    {
      what: 'is silent eight days before the end',
      series: { 'postern_tls_certificate_not_after_seconds{host="shop.example.com"}': `${8 * 86_400}x140` },
      at: throughout(0, 70),
    },
  ],
};
