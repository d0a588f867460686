// How much is let through at once: requests under way at one upstream, and calls of one session in a span of time. Both count in this process alone.
import type { ServerResponse } from 'node:http';
import RateLimiterMemory from 'rate-limiter-flexible/lib/RateLimiterMemory.js';
import type { Config } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import type { Admit } from './admission.ts';

/** The places at one upstream. Without a bound, requests would queue up behind an upstream that hangs until memory ends. */
export class Places {
  readonly #most: number;
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes a place until the response is closed, however it ends; false when there is none. */
  take(response: ServerResponse): boolean {
    if (this.#taken >= this.#most) return false;
    this.#taken += 1;
    response.once('close', this.#free);
    return true;
  }

  readonly #free = (): void => {
    this.#taken -= 1;
  };
}

/** Refuses with `rate_limited` what a session asks for beyond its share. Anonymous calls are not counted. */
export function createSessionRate({ count, per }: NonNullable<Config['limits']['sessionRequests']>) {
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
