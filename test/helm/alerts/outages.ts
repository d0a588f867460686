// Something that Postern needs is away, slow or says no; or Postern is.
import { degraded, pod, throughout } from './scenario.ts';
import type { Scenarios } from './scenario.ts';

const store = (le: string): string => `postern_session_store_operation_duration_seconds_bucket{le="${le}"}`;

export const outages: Scenarios = {
  PosternAbsent: [
    {
      what: 'fires five minutes after the last process was seen',
      series: { [degraded('store')]: '0x9 stale' },
      at: ['10m'],
      fires: { job: 'postern-operations', namespace: 'default' },
    },
    {
      what: 'is silent while one of two is left',
      series: { [degraded('store')]: '0x9 stale', 'postern_degraded{part="store", instance="b"}': '0x40' },
      at: throughout(0, 20),
    },
  ],
  PosternStoreUnavailable: [
    {
      what: 'fires when the store has been out of reach for a minute',
      series: { [degraded('store')]: '0x3 1x10' },
      at: ['3m'],
      fires: pod,
    },
    {
      what: 'is silent when the store is away for half a minute, as in a failover',
      series: { [degraded('store')]: '0x3 1x1 0x10' },
      at: throughout(0, 6),
    },
  ],
  PosternStoreSlow: [
    {
      what: 'fires when one operation in ten takes longer than a tenth of a second',
      series: { [store('0.1')]: '0+90x60', [store('0.25')]: '0+100x60', [store('+Inf')]: '0+100x60' },
      at: ['11m'],
      fires: {},
    },
    {
      what: 'is silent when one in a thousand does',
      series: { [store('0.1')]: '0+999x60', [store('0.25')]: '0+1000x60', [store('+Inf')]: '0+1000x60' },
      at: throughout(0, 30),
    },
  ],
  PosternProviderUnavailable: [
    {
      what: 'fires when the provider has been out of reach for five minutes',
      series: { [degraded('provider')]: '0x1 1x20' },
      at: ['6m'],
      fires: pod,
    },
    {
      what: 'is silent when the provider restarts within four',
      series: { [degraded('provider')]: '0x1 1x7 0x20' },
      at: throughout(0, 12),
    },
  ],
  PosternClientRefused: [
    {
      what: 'fires at the first refresh that is refused for this client',
      series: { 'postern_token_refresh_total{outcome="misconfigured"}': '0x4 1x4' },
      at: ['3m'],
      fires: {},
    },
    {
      what: 'is silent about sessions whose refresh token is no longer good',
      series: { 'postern_token_refresh_total{outcome="ended"}': '0+1x20' },
      at: throughout(0, 10),
    },
  ],
  PosternRefreshesFail: [
    {
      what: 'fires when every fourth refresh gets no answer',
      series: {
        'postern_token_refresh_total{outcome="unavailable"}': '0+1x40',
        'postern_token_refresh_total{outcome="refreshed"}': '0+3x40',
      },
      at: ['10m'],
      fires: {},
    },
    {
      what: 'is silent when every tenth gets none',
      series: {
        'postern_token_refresh_total{outcome="unavailable"}': '0+1x40',
        'postern_token_refresh_total{outcome="refreshed"}': '0+9x40',
      },
      at: throughout(0, 20),
    },
    {
      what: 'is silent about the only refresh of a night, which got none',
      series: { 'postern_token_refresh_total{outcome="unavailable"}': '0x10 1x40' },
      at: throughout(0, 20),
    },
  ],
  PosternLoginsFail: [
    {
      what: 'fires when every second login fails',
      series: {
        'postern_logins_total{outcome="invalid"}': '0+1x60',
        'postern_logins_total{outcome="signed-in"}': '0+1x60',
      },
      at: ['20m'],
      fires: {},
    },
    {
      what: 'is silent about five failed logins when nobody else logs in',
      series: {
        'postern_logins_total{outcome="invalid"}': '0x10 1 2 3 4 5x40',
        'postern_logins_total{outcome="signed-in"}': '0x60',
      },
      at: throughout(0, 25),
    },
    {
      what: 'is silent when one in ten gives up at the provider',
      series: {
        'postern_logins_total{outcome="refused"}': '0+1x60',
        'postern_logins_total{outcome="signed-in"}': '0+9x60',
      },
      at: throughout(0, 30),
    },
  ],
  PosternBlocked: [
    {
      what: 'fires when requests have waited for more than half a second for five minutes',
      series: { 'nodejs_eventloop_lag_p99_seconds{instance="a", pod="postern-a"}': '0.1x1 0.8x20' },
      at: ['6m'],
      fires: pod,
    },
    {
      what: 'is silent about two busy minutes',
      series: { 'nodejs_eventloop_lag_p99_seconds{instance="a", pod="postern-a"}': '0.1x1 0.8x4 0.1x20' },
      at: throughout(0, 12),
    },
  ],
  PosternWorkersDie: [
    {
      what: 'fires when three workers were replaced in a few minutes',
      series: { postern_worker_replacements_total: '0x2 1 2 3x20' },
      at: ['5m'],
      fires: {},
    },
    {
      what: 'is silent about one',
      series: { postern_worker_replacements_total: '0x2 1x60' },
      at: throughout(0, 30),
    },
  ],
};
