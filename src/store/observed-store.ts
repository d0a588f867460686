// A store whose operations are timed and counted, so that neither a store nor its callers know of that.
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import type { EndReason, Store } from './store.ts';
import { StoreUnavailable } from './store.ts';

export interface ObservedStoreOptions {
  metrics: Pick<Metrics, 'storeDuration' | 'storeErrors'>;
  log: Logger;
  tracing: Tracing | undefined;
  /** A session has ended by an operation of this process, whoever asked for it. */
  onEnded: (h: string, reason: EndReason) => void;
  /** Monotonic, ms. */
  now: () => number;
}

/** The same store. An operation that fails with StoreUnavailable counts as unanswered; anything else that is thrown is a defect, and not counted. */
export function observeStore(store: Store, { metrics, log, tracing, onEnded, now }: ObservedStoreOptions): Store {
  function over(operation: string, startedAt: number, outcome: 'answered' | 'unanswered'): void {
    const ms = now() - startedAt;
    metrics.storeDuration.observe({ operation, outcome }, ms / 1000);
    if (outcome === 'unanswered') metrics.storeErrors.inc();
    if (log.isLevelEnabled('debug')) log.debug({ operation, outcome, ms: Math.round(ms * 10) / 10 }, 'store');
  }

  async function timed<Answer>(operation: string, run: () => Promise<Answer>): Promise<Answer> {
    const startedAt = now();
    try {
      const answer = await (tracing === undefined ? run() : tracing.around(`store ${operation}`, run));
      over(operation, startedAt, 'answered');
      return answer;
    } catch (error) {
      if (error instanceof StoreUnavailable) over(operation, startedAt, 'unanswered');
      throw error;
    }
  }

  return {
    load: (h) => timed('load', () => store.load(h)),
    put: (h, record) => timed('put', () => store.put(h, record)),
    begin: (attempt, deadlineMs) => timed('begin', () => store.begin(attempt, deadlineMs)),
    commit: (attempt, tokens) => timed('commit', () => store.commit(attempt, tokens)),
    fail: (attempt, retryAfterMs) => timed('fail', () => store.fail(attempt, retryAfterMs)),
    async endIf(attempt, reason) {
      const outcome = await timed('endIf', () => store.endIf(attempt, reason));
      if (outcome.kind === 'ended') onEnded(attempt.h, reason);
      return outcome;
    },
    async end(h, reason) {
      const hasEnded = await timed('end', () => store.end(h, reason));
      if (hasEnded) onEnded(h, reason);
      return hasEnded;
    },
    slide: (h) => timed('slide', () => store.slide(h)),
    readSession: (h) => timed('readSession', () => store.readSession(h)),
    writeSession: (h, json, ttlSeconds) => timed('writeSession', () => store.writeSession(h, json, ttlSeconds)),
    deleteSession: (h) => timed('deleteSession', () => store.deleteSession(h)),
    claimOnce: (key, claimant, ttlSeconds) => timed('claimOnce', () => store.claimOnce(key, claimant, ttlSeconds)),
    indexAdd: (key, h, absoluteMs) => timed('indexAdd', () => store.indexAdd(key, h, absoluteMs)),
    indexFind: (key) => timed('indexFind', () => store.indexFind(key)),
    indexRemove: (key, h) => timed('indexRemove', () => store.indexRemove(key, h)),
    mark: (key, at, ttlSeconds) => timed('mark', () => store.mark(key, at, ttlSeconds)),
    marked: (key) => timed('marked', () => store.marked(key)),
    putLogoutTicket: (key, sealed, ttlSeconds) =>
      timed('putLogoutTicket', () => store.putLogoutTicket(key, sealed, ttlSeconds)),
    takeLogoutTicket: (key) => timed('takeLogoutTicket', () => store.takeLogoutTicket(key)),
    restore: (h, record) => timed('restore', () => store.restore(h, record)),
    ping: () => timed('ping', () => store.ping()),
    subscribe: (listener) => store.subscribe(listener),
    listening: () => store.listening(),
    settled: () => store.settled(),
    close: () => store.close(),
  };
}
