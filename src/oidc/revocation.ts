// Token revocation (RFC 7009): best effort at logout, tried again in the background because a token that was not revoked is still alive (2.2.1).
import { tokenRevocation } from 'openid-client';
import type { Logger } from '../telemetry/log.ts';
import type { ConnectClient } from './client.ts';
import { describeFailure } from './failure.ts';
import { callMs } from './http.ts';
import type { ProviderFetch, ProviderHttp } from './http.ts';
import { retryAfterMs } from './token-endpoint.ts';

const retriesAfterMs = [1_000, 10_000];
const longestWaitMs = 60_000;

type Attempt = 'revoked' | 'refused' | { retryAfterMs: number };

/** `now` as in ProviderOptions. */
export function createRevocation(options: {
  connect: ConnectClient;
  http: ProviderHttp;
  now: () => number;
  log: Logger;
}) {
  const { connect, http, now, log } = options;
  const timers = new Set<NodeJS.Timeout>();

  /** `Provider.revoke`: the outcome of the first try; two more may follow in the background. */
  async function revoke(refreshToken: string): Promise<boolean> {
    return (await tryRevoking(refreshToken, 0)) === 'revoked';
  }

  async function tryRevoking(refreshToken: string, tries: number): Promise<Attempt> {
    const attempt = await revokeOnce(refreshToken);
    const wait = retriesAfterMs[tries];
    if (typeof attempt === 'object' && wait !== undefined) {
      later(Math.max(wait, Math.min(attempt.retryAfterMs, longestWaitMs)), () => tryRevoking(refreshToken, tries + 1));
    }
    return attempt;
  }

  async function revokeOnce(refreshToken: string): Promise<Attempt> {
    const send = http.pooled(callMs);
    let answered: Response | undefined;
    const fetch: ProviderFetch = async (url, init) => (answered = await send(url, init));
    try {
      const { configuration, metadata } = await connect(fetch);
      if (metadata.revocation_endpoint === undefined) return 'revoked';
      await tokenRevocation(configuration, refreshToken, { token_type_hint: 'refresh_token' });
      return 'revoked';
    } catch (error) {
      log.warn({ err: describeFailure(error) }, 'a refresh token could not be revoked at the provider');
      if (answered !== undefined && answered.status < 500 && answered.status !== 429) return 'refused';
      return { retryAfterMs: retryAfterMs(answered?.headers.get('retry-after') ?? null, now()) ?? 0 };
    }
  }

  function later(ms: number, run: () => Promise<unknown>): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      void run();
    }, ms).unref();
    timers.add(timer);
  }

  return {
    revoke,
    /** Drops the tries that have not begun. */
    close(): void {
      timers.forEach(clearTimeout);
      timers.clear();
    },
  };
}
