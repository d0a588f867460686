// The one table of what can go wrong between Postern and a caller: code, status, title.
// A code is part of the contract: an SPA switches over it, docs/errors.md explains it.

const table = {
  bad_request: { status: 400, title: 'The request target or a header is malformed' },
  login_failed: { status: 400, title: 'The login could not be completed' },
  session_required: { status: 401, title: 'This needs a login' },
  session_expired: { status: 401, title: 'The session has ended' },
  step_up_required: { status: 401, title: 'This needs another, stronger or fresher login' },
  csrf_rejected: { status: 403, title: 'The request did not come from this application' },
  navigation_required: { status: 403, title: 'This address is for the address bar, not for scripts' },
  forbidden: { status: 403, title: 'This user may not use this' },
  no_route: { status: 404, title: 'Nothing is served at this address' },
  method_not_allowed: { status: 405, title: 'This method is not allowed here' },
  payload_too_large: { status: 413, title: 'The request body is too large' },
  misdirected: { status: 421, title: 'This host name is not served here' },
  upgrade_required: { status: 426, title: 'This version of the WebSocket protocol is not spoken here' },
  rate_limited: { status: 429, title: 'Too many requests in a short time' },
  headers_too_large: { status: 431, title: 'The request headers are too large' },
  internal_error: { status: 500, title: 'Something went wrong on our side' },
  upstream_unreachable: { status: 502, title: 'The service behind this address cannot be reached' },
  upstream_invalid: { status: 502, title: 'The service behind this address gave an answer that cannot be passed on' },
  session_store_unavailable: { status: 503, title: 'Sessions cannot be read at the moment' },
  provider_unavailable: { status: 503, title: 'The identity provider cannot be reached at the moment' },
  overloaded: { status: 503, title: 'There is no room for this at the moment' },
  upstream_timeout: { status: 504, title: 'The service behind this address did not answer in time' },
} as const satisfies Record<string, { status: number; title: string }>;

/** A stable, documented error code. */
export type ErrorCode = keyof typeof table;

/** Every code, for the documentation's completeness test. */
export const errorCodes = Object.keys(table) as ErrorCode[];

/** The HTTP status of a code. */
export function statusOf(code: ErrorCode): number {
  return table[code].status;
}

/** One short sentence for people; carries no detail of the request. */
export function titleOf(code: ErrorCode): string {
  return table[code].title;
}

/** What a failure may carry beside its code. `cause` is for the log; it never reaches a caller. */
export interface PosternErrorOptions {
  cause?: unknown;
  retryAfterSeconds?: number;
  headers?: Record<string, string>;
  login?: Record<string, string>;
}

/** The failure of a request. Expected outcomes are not errors: they are closed unions that callers switch over. */
export class PosternError extends Error {
  override readonly name = 'PosternError';
  readonly code: ErrorCode;
  /** For a 429 or a 503: when it is worth asking again. */
  readonly retryAfterSeconds: number | undefined;
  /** More response headers that belong to this failure, such as `Allow` beside a 405. */
  readonly headers: Readonly<Record<string, string>>;
  /** Parameters of the login that helps. */
  readonly login: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, options: PosternErrorOptions = {}) {
    super(titleOf(code), { cause: options.cause });
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.headers = options.headers ?? {};
    this.login = options.login ?? {};
  }

  get status(): number {
    return statusOf(this.code);
  }
}

/** The session store did not answer, so that nothing is known about the session: 503, and the cookie stays. */
export function storeAway(cause?: unknown): PosternError {
  return new PosternError('session_store_unavailable', { cause, retryAfterSeconds: 2 });
}
