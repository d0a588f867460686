// What operators hear of the provider: how long its answers take, and when it is no longer asked.
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { CallFailure } from './http.ts';
import type { ProviderFetch, ProviderHttp } from './http.ts';
import type { Provider } from './provider.ts';

/** One call over HTTP, complete or not. */
export interface ProviderCall {
  method: string;
  url: URL;
  /** The status of the answer, or the code of the failure. */
  result: number | string;
  ms: number;
}

/** Hears of what the provider's client does. */
export interface ProviderObserver {
  called(call: ProviderCall): void;
  /** The token endpoint is no longer asked for a grant, or again. */
  breaker(grant: 'code' | 'refresh', isOpen: boolean): void;
  /** The client begins to serve, or another one does instead. */
  inForce: (isInForce: boolean) => void;
}

/** The observer of one client. Of its breakers nothing is told before it is in force, nor after. */
export function createProviderObserver(options: {
  metrics: Pick<Metrics, 'clientRequestDuration' | 'breakerOpen'>;
  log: Logger;
}): ProviderObserver {
  const { metrics, log } = options;
  const open = { code: false, refresh: false };
  let told = false;
  const tell = (grant: keyof typeof open): void => {
    if (told) metrics.breakerOpen.set({ grant }, open[grant] ? 1 : 0);
  };
  return {
    called({ method, url, result, ms }) {
      const status = typeof result === 'number' ? String(result) : '';
      metrics.clientRequestDuration.observe({ server_address: url.host, http_response_status_code: status }, ms / 1000);
      // Without the query, which may hold what is nobody else's business.
      if (log.isLevelEnabled('debug'))
        log.debug({ method, url: url.origin + url.pathname, result, ms: Math.round(ms) }, 'called the provider');
    },
    breaker(grant, isOpen) {
      open[grant] = isOpen;
      tell(grant);
    },
    inForce(isInForce) {
      told = isInForce;
      tell('code');
      tell('refresh');
    },
  };
}

/** The same connections, every call told. `now` is in ms. */
export function observeHttp(
  http: ProviderHttp,
  { observer, now }: { observer: ProviderObserver; now: () => number },
): ProviderHttp {
  function told(fetch: ProviderFetch): ProviderFetch {
    return async (url, init) => {
      const startedAt = now();
      const over = (result: number | string): void =>
        observer.called({ method: init.method, url: new URL(url), result, ms: now() - startedAt });
      try {
        const response = await fetch(url, init);
        over(response.status);
        return response;
      } catch (error) {
        over(error instanceof CallFailure ? error.code : 'unknown');
        throw error;
      }
    };
  }

  return {
    pooled: (limitMs) => told(http.pooled(limitMs)),
    fresh: (limitMs) => told(http.fresh(limitMs)),
    close: () => http.close(),
  };
}

/** The same provider, its refreshes timed, and each call that a request waits for within a span. */
export function observeProvider(
  provider: Provider,
  options: {
    metrics: Pick<Metrics, 'refreshDuration'>;
    tracing: Tracing | undefined;
    /** Monotonic, ms. */
    now: () => number;
  },
): Provider {
  const { metrics, tracing, now } = options;
  const within = <Result>(name: string, run: () => Promise<Result>): Promise<Result> =>
    tracing === undefined ? run() : tracing.around(`provider ${name}`, run);
  return {
    ...provider,
    startLogin: (parameters) => within('startLogin', () => provider.startLogin(parameters)),
    finishLogin: (callbackUrl, checks) => within('finishLogin', () => provider.finishLogin(callbackUrl, checks)),
    async refresh(tokens, signal) {
      const startedAt = now();
      const outcome = await within('refresh', () => provider.refresh(tokens, signal));
      metrics.refreshDuration.observe({ outcome: outcome.kind }, (now() - startedAt) / 1000);
      return outcome;
    },
  };
}
