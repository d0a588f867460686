// How Postern talks to the provider: bounded in time and size, never following a redirect, and knowing afterwards whether a request was sent.
// "Not sent" and "sent, no answer" must not be mixed up: a refresh token that may have been used is not simply sent again (RFC 9700, 4.14.2).
import { Agent } from 'undici';
import type { Dispatcher } from 'undici';
import { timeLimit } from '../fair-limits.ts';

/** The longest that any other call than a grant's may take. */
export const callMs = 5_000;
const connectLimitMs = 3_000;
const responseLimitBytes = 1024 * 1024;

/** What openid-client and jose ask of a `fetch`. Rejects with `CallFailure` only. */
export type ProviderFetch = (
  url: string,
  init: {
    method: string;
    headers: NonNullable<RequestInit['headers']>;
    body?: unknown;
    signal?: AbortSignal | undefined;
  },
) => Promise<Response>;

export interface ProviderHttp {
  /** Over pooled connections. At most `limitMs`, body included. */
  pooled(limitMs: number): ProviderFetch;
  /** Over a connection of its own: a pooled one that the provider has just closed would look like "sent, no answer". */
  fresh(limitMs: number): ProviderFetch;
  close(): Promise<void>;
}

/** A call that brought no complete answer. */
export class CallFailure extends Error {
  override readonly name = 'CallFailure';
  /** The system's or undici's code, such as ECONNREFUSED. */
  readonly code: string;
  /** False when the request certainly did not reach the provider. */
  readonly sent: boolean;
  /** True when the provider did answer, and the answer cannot be used. */
  readonly answered: boolean;

  constructor(code: string, reached: { sent: boolean; answered: boolean }) {
    super(`The call to the provider failed: ${code}`);
    this.code = code;
    this.sent = reached.sent;
    this.answered = reached.answered;
  }
}

/**
 * Connections to one provider.
 *
 * @param options.ca certificate authorities in PEM, for a provider whose certificate a private authority signed
 */
export function createProviderHttp(options: { ca: string | undefined }): ProviderHttp {
  const settings: Agent.Options = {
    connect: { timeout: connectLimitMs, ...(options.ca !== undefined && { ca: options.ca }) },
    allowH2: false,
    maxResponseSize: responseLimitBytes,
  };
  const pooled = new Agent(settings);
  const fresh = new Agent({ ...settings, pipelining: 0 });
  return {
    pooled: (limitMs) => fetchOver(pooled, limitMs),
    fresh: (limitMs) => fetchOver(fresh, limitMs),
    async close() {
      await Promise.all([pooled.destroy(), fresh.destroy()]);
    },
  };
}

function fetchOver(agent: Agent, limitMs: number): ProviderFetch {
  return async (url, { method, headers, body, signal }) => {
    let sent = false;
    const limit = timeLimit(limitMs);
    try {
      const { origin, pathname, search } = new URL(url);
      const answer = await agent
        .compose(
          onSent(() => {
            sent = true;
          }),
        )
        .request({
          origin,
          path: pathname + search,
          method,
          headers: Object.fromEntries(new Headers(headers)),
          body: body instanceof URLSearchParams ? body.toString() : null,
          signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
        });
      const { statusCode: status } = answer;
      const content = await answer.body.text();
      return new Response(mayHaveBody(status) ? content : null, { status, headers: toHeaders(answer.headers) });
    } catch (error) {
      const code = codeOf(error);
      throw new CallFailure(code, { sent, answered: code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE' });
    }
  };
}

// undici calls onRequestStart once there is a connection, immediately before it writes the request.
function onSent(mark: () => void): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (request, handler) =>
    dispatch(request, {
      onRequestStart(controller, context) {
        mark();
        handler.onRequestStart?.(controller, context);
      },
      onResponseStart: (...answer) => handler.onResponseStart?.(...answer),
      onResponseData: (...data) => handler.onResponseData?.(...data),
      onResponseEnd: (...end) => handler.onResponseEnd?.(...end),
      onResponseError: (...failure) => handler.onResponseError?.(...failure),
    });
}

function toHeaders(received: Dispatcher.ResponseData['headers']): Headers {
  const headers = new Headers();
  for (const [name, value = []] of Object.entries(received))
    for (const one of [value].flat()) headers.append(name, one);
  return headers;
}

// `Response` refuses a body, even an empty one, beside these (Fetch standard, "null body status").
function mayHaveBody(status: number): boolean {
  return status !== 204 && status !== 205 && status !== 304;
}

// System errors come from outside a test's realm, where `instanceof Error` says no.
function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'unknown';
}
