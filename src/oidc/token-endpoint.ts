// One call of the token endpoint: on a connection of its own, behind the breaker, and with a record of how far it came.
import type { CircuitBreaker } from './breaker.ts';
import type { CallRecord } from './failure.ts';
import { CallFailure } from './http.ts';
import type { ProviderFetch, ProviderHttp } from './http.ts';

export interface TokenCall {
  fetch: ProviderFetch;
  /** Filled in as the call goes on. */
  record: CallRecord;
}

/** How to make token calls. `open` prepares one call of at most `limitMs`, which `signal` can end sooner. */
export function createTokenEndpoint(options: { http: ProviderHttp; breaker: CircuitBreaker; now: () => number }) {
  const { http, breaker, now } = options;

  function open(limitMs: number, signal?: AbortSignal): TokenCall {
    const record = newRecord();
    const send = http.fresh(limitMs);
    const fetch: ProviderFetch = async (url, init) => {
      if (!breaker.mayCall()) {
        record.failure = new CallFailure('circuit_open', { sent: false, answered: false });
        throw record.failure;
      }
      record.sentAt = now();
      try {
        const response = await send(url, { ...init, signal });
        record.status = response.status;
        record.retryAfterMs = retryAfterMs(response.headers.get('retry-after'), now());
        if (response.status >= 500) breaker.failed();
        else breaker.succeeded();
        const body = parseObject(await response.text());
        record.json = body !== undefined;
        return tolerant(response, body);
      } catch (error) {
        breaker.failed();
        if (error instanceof CallFailure) record.failure = error;
        throw error;
      }
    };
    return { fetch, record };
  }

  return { open };
}

/** RFC 9110, 10.2.3: seconds or a date; undefined for anything else. */
export function retryAfterMs(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}

function newRecord(): CallRecord {
  return { sentAt: undefined, status: undefined, json: false, retryAfterMs: undefined, failure: undefined };
}

/**
 * The response with what providers often get wrong put right, because openid-client would refuse all of it for one bad member:
 * `null` means absent, an `expires_in` that is no span means that the provider did not say, JSON is JSON whatever its content type,
 * and a challenge hides no error body.
 */
function tolerant(response: Response, body: Record<string, unknown> | undefined): Response {
  const headers = new Headers(response.headers);
  headers.delete('www-authenticate');
  const init = { status: response.status, headers };
  if (body === undefined) return new Response(null, init);
  const expiresIn = Number(body['expires_in']);
  if (!(expiresIn >= 0 && Number.isFinite(expiresIn))) delete body['expires_in'];
  headers.set('content-type', 'application/json');
  const members = Object.entries(body).filter(([, value]) => value !== null);
  return new Response(JSON.stringify(Object.fromEntries(members)), init);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
