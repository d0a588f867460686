// How much is let through at once: requests under way at one upstream, and calls of one session in a span of time. Both count in this process alone, and
// on over reloads: otherwise each would let in as much again.
import type { ServerResponse } from 'node:http';
import RateLimiterMemory from 'rate-limiter-flexible/lib/RateLimiterMemory.js';
import type { Config } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import type { Admit } from './admission.ts';

/** The places at one upstream. Without a bound, requests would queue up behind an upstream that hangs until memory ends. */
export class Places {
  #taken = 0;

  /** Takes one of `most` places until the response is closed, however it ends; false when there is none. */
  take(response: ServerResponse, most: number): boolean {
    if (this.#taken >= most) return false;
    this.#taken += 1;
    response.once('close', this.#free);
    return true;
  }

  readonly #free = (): void => {
    this.#taken -= 1;
  };
}

type SessionRate = NonNullable<Config['limits']['sessionRequests']>;

/** What is counted for as long as the process lives. */
export interface Counts {
  /** By `server` of the upstream. */
  placesAt(server: string): Places;
  /** Counts on while the settings are those it was last asked for, and anew with others. */
  limitRate(settings: SessionRate): (admit: Admit) => Admit;
}

/** The counts of one process. */
export function createCounts(): Counts {
  const places = new Map<string, Places>();
  let rate: { key: string; limit: (admit: Admit) => Admit } | undefined;
  return {
    placesAt(server) {
      const known = places.get(server) ?? new Places();
      places.set(server, known);
      return known;
    },
    limitRate(settings) {
      const key = JSON.stringify([settings.count, settings.per]);
      if (rate?.key !== key) rate = { key, limit: createSessionRate(settings) };
      return rate.limit;
    },
  };
}

/** Refuses with `rate_limited` what a session asks for beyond its share. Anonymous calls are not counted. */
function createSessionRate({ count, per }: SessionRate) {
  const limiter = new RateLimiterMemory({ points: count, duration: per });
  return function limit(admit: Admit): Admit {
    return async (asked) => {
      const admission = await admit(asked);
      if (admission.kind !== 'signed-in') return admission;
      try {
        await limiter.consume(admission.session.h);
        return admission;
      } catch (refusal) {
        if (refusal instanceof Error) throw refusal;
        const { msBeforeNext } = refusal as { msBeforeNext: number };
        const retryAfterSeconds = Math.max(1, Math.ceil(msBeforeNext / 1000));
        return { kind: 'refused', error: new PosternError('rate_limited', { retryAfterSeconds }) };
      }
    };
  };
}
