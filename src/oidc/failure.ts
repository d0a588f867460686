// What went wrong at the provider, told without what was in it: errors of openid-client carry responses, and those hold tokens.
import { ClientError, ResponseBodyError } from 'openid-client';
import { CallFailure } from './http.ts';

/** A failure that is safe to log: a code, a sentence, no content. */
export class ProviderFailure extends Error {
  override readonly name = 'ProviderFailure';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** What is known of one HTTP call, whoever made sense of its answer. */
export interface CallRecord {
  sentAt: number | undefined;
  status: number | undefined;
  /** Whether the answer was a JSON object. */
  json: boolean;
  retryAfterMs: number | undefined;
  failure: CallFailure | undefined;
}

/** Why a grant gave no tokens. */
export type GrantFailure =
  /** No answer, or one that says nothing about the grant: 5xx, 429, a redirect, a page instead of JSON. */
  | { kind: 'unavailable'; sent: boolean; answered: boolean; retryAfterMs: number | undefined; cause: ProviderFailure }
  /** 4xx. `error` is the provider's code (RFC 6749, 5.2), or `http_<status>` when it gave none. */
  | { kind: 'denied'; error: string; cause: ProviderFailure }
  /** 200, and the ID token in it failed a check. */
  | { kind: 'bad-id-token'; cause: ProviderFailure }
  /** The answer is JSON but no token response; or a check failed before anything was sent. */
  | { kind: 'bad-response'; cause: ProviderFailure };

/** Tells what became of a grant from openid-client's error and the call's record. */
export function classifyGrantFailure(error: unknown, call: CallRecord): GrantFailure {
  const cause = describeFailure(error, call);
  const { failure, status, json, retryAfterMs } = call;
  if (failure !== undefined) {
    return { kind: 'unavailable', sent: failure.sent, answered: failure.answered, retryAfterMs, cause };
  }
  if (status === undefined) return { kind: 'bad-response', cause };
  if (status === 429 || status >= 500 || (status >= 300 && status < 400) || (status === 200 && !json)) {
    return { kind: 'unavailable', sent: true, answered: true, retryAfterMs, cause };
  }
  if (status >= 400) {
    return { kind: 'denied', error: error instanceof ResponseBodyError ? errorCode(error.error) : cause.code, cause };
  }
  return { kind: isAboutIdToken(error) ? 'bad-id-token' : 'bad-response', cause };
}

/** An error of openid-client, jose or the network as something that may be logged. */
export function describeFailure(error: unknown, call?: CallRecord): ProviderFailure {
  if (error instanceof ProviderFailure) return error;
  const failure = call?.failure ?? callFailureIn(error);
  if (failure !== undefined) return new ProviderFailure(failure.code, failure.message);
  if (error instanceof ResponseBodyError) {
    const code = errorCode(error.error);
    return new ProviderFailure(code, `The provider answered ${error.status} ${code}`);
  }
  if (call?.status !== undefined && call.status !== 200) return httpFailure(call.status);
  if (error instanceof ClientError) {
    if (error.cause instanceof Response && error.cause.status !== 200) return httpFailure(error.cause.status);
    // The specific sentence is one step down; both are constants of the library.
    const reason = error.cause instanceof Error && 'code' in error.cause ? error.cause : error;
    return new ProviderFailure(error.code ?? 'unknown', reason.message);
  }
  return new ProviderFailure(
    error instanceof Error ? error.name : 'unknown',
    'The answer of the provider failed a check',
  );
}

/** RFC 6749 error codes are short words; anything else is somebody's free text and goes no further. */
export function errorCode(text: string): string {
  return /^[A-Za-z0-9_.-]{1,64}$/.test(text) ? text : 'unknown_error';
}

function httpFailure(status: number): ProviderFailure {
  return new ProviderFailure(`http_${status}`, `The provider answered ${status}`);
}

function callFailureIn(error: unknown): CallFailure | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof CallFailure) return at;
  return undefined;
}

// openid-client keeps what it complained about at the end of the chain: the response's body, or else a part of the ID token.
function isAboutIdToken(error: unknown): boolean {
  let about = error;
  while (about instanceof Error) about = about.cause;
  return !(typeof about === 'object' && about !== null && 'body' in about);
}
