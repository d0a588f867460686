// The provider's metadata (OpenID Connect Discovery 4): had lazily, tried again while the provider is down, refreshed while it is used.
// What was good stays in use when a later answer is not.
import { allowInsecureRequests, customFetch, discovery as requestMetadata } from 'openid-client';
import type { Logger } from '../telemetry/log.ts';
import { describeFailure } from './failure.ts';
import type { ProviderFailure } from './failure.ts';
import { callMs } from './http.ts';
import type { ProviderFetch } from './http.ts';
import { checkMetadata } from './metadata.ts';
import type { Metadata } from './metadata.ts';

export interface Discovery {
  /** The metadata, asked for now when there is none yet. Throws ProviderFailure. */
  current(): Promise<Metadata>;
  /** What is there, without asking. */
  known(): Metadata | undefined;
  close(): void;
}

const refreshEveryMs = 600_000;
const firstRetryMs = 1_000;
const longestRetryMs = 30_000;

/** Asks once, for at most 5 s, and checks the answer. Throws what `describeFailure` describes. */
export async function askForMetadata(options: {
  issuer: string;
  clientId: string;
  fetch: ProviderFetch;
}): Promise<Metadata> {
  const { issuer, clientId, fetch } = options;
  const configuration = await requestMetadata(new URL(issuer), clientId, undefined, undefined, {
    [customFetch]: fetch,
    timeout: callMs / 1000,
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so to be noticed; the configuration has asked for it
    ...(issuer.startsWith('http:') && { execute: [allowInsecureRequests] }),
  });
  return checkMetadata(configuration.serverMetadata(), issuer);
}

/** Asks at once, in the background. */
export function createDiscovery(options: {
  issuer: string;
  clientId: string;
  fetch: ProviderFetch;
  now: () => number;
  log: Logger;
}): Discovery {
  const { issuer, clientId, fetch, now, log } = options;
  let known: Metadata | undefined;
  let attempt: Promise<Metadata> | undefined;
  let failure: ProviderFailure | undefined;
  let failedAt = 0;
  let refreshAt = 0;
  let retryMs = firstRetryMs;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  async function ask(): Promise<Metadata> {
    try {
      known = await askForMetadata({ issuer, clientId, fetch });
    } catch (error) {
      throw noteFailure(describeFailure(error));
    }
    if (failure !== undefined) log.info({ issuer }, 'the provider’s metadata can be had again');
    failure = undefined;
    retryMs = firstRetryMs;
    refreshAt = now() + refreshEveryMs;
    return known;
  }

  function noteFailure(reason: ProviderFailure): ProviderFailure {
    failure = reason;
    failedAt = now();
    refreshAt = failedAt + retryMs;
    if (!closed) {
      log.warn({ issuer, err: reason, inUse: known !== undefined }, 'the provider’s metadata cannot be had');
      if (known === undefined) timer = setTimeout(askInBackground, retryMs).unref();
    }
    retryMs = Math.min(retryMs * 2, longestRetryMs);
    return reason;
  }

  // Nobody waits for it: what went wrong has been noted.
  function askInBackground(): void {
    attemptOnce().catch(() => undefined);
  }

  function attemptOnce(): Promise<Metadata> {
    clearTimeout(timer);
    attempt ??= ask().finally(() => {
      attempt = undefined;
    });
    return attempt;
  }

  askInBackground();

  return {
    async current() {
      if (known === undefined) {
        // A provider that is down is asked again by one caller a second, not by every caller.
        if (attempt === undefined && failure !== undefined && now() - failedAt < firstRetryMs) throw failure;
        return attemptOnce();
      }
      if (now() >= refreshAt) askInBackground();
      return known;
    },
    known: () => known,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
