// The OpenID provider, as the rest of the house sees it.
import type { TokenSet, Tokens } from './token-set.ts';

/** What must come back with the user, and is sealed in the browser meanwhile. */
export interface LoginChecks {
  state: string;
  nonce: string;
  codeVerifier: string;
  /** Asked for and therefore checked (OIDC Core 3.1.3.7 items 12 and 13). */
  maxAge?: number;
  acrValues?: string;
}

/** A started login: where to send the browser. */
export interface StartedLogin {
  url: URL;
  checks: LoginChecks;
}

export type FinishLoginOutcome =
  | { kind: 'signed-in'; tokens: TokenSet }
  /** The provider said no in the way RFC 6749 4.1.2.1 gives it: `error` is its code, such as `access_denied` or `login_required`. */
  | { kind: 'refused'; error: string }
  /** The answer failed a check: never retried, the session is untouched. `cause` for the log. */
  | { kind: 'invalid'; cause: unknown }
  | { kind: 'unavailable'; cause: unknown };

export type RefreshOutcome =
  /**
   * `unverifiedIdToken`: a new ID token whose signature the keys at hand could not confirm. The rotated tokens must be kept before anybody waits for keys,
   * so `tokens` holds the old ID token and claims then, and the new one is for `verifyIdToken` once they are safe.
   */
  | { kind: 'refreshed'; tokens: TokenSet; unverifiedIdToken: string | undefined }
  /** The grant is gone, or another user came back: the session ends. `error` is the provider's code, or ours. */
  | { kind: 'ended'; error: string }
  /** Our configuration is wrong (invalid_client and other 4xx): nobody is logged out. */
  | { kind: 'misconfigured'; cause: unknown }
  /** `sent: false` when the request certainly did not reach the provider (refused, DNS, connect time-out, breaker open); `answered` when it said 5xx or 429. */
  | { kind: 'unavailable'; sent: boolean; answered: boolean; retryAfterMs: number | undefined; cause: unknown };

export type IdTokenCheck =
  { kind: 'valid' } | { kind: 'invalid'; cause: unknown } | { kind: 'unavailable'; cause: unknown };

/** What a valid logout token asks for (OIDC Back-Channel Logout 1.0, section 2.4): the end of a session at the provider, or of everything of a user. */
export type ProviderLogout = {
  iss: string;
  jti: string;
  /** Epoch ms, on the provider's clock. */
  issuedAt: number;
  /** How long the token is valid, from now. */
  validSeconds: number;
} & ({ sid: string; sub: string | undefined } | { sid: undefined; sub: string });

export type LogoutTokenCheck =
  | { kind: 'valid'; logout: ProviderLogout }
  /** `cause` names the rule that it breaks. */
  | { kind: 'invalid'; cause: Error }
  /** The provider's keys are out of reach: nothing is known about the token. */
  | { kind: 'unavailable'; cause: unknown };

/** What a logout sends the browser to (OIDC RP-Initiated Logout 1.0, section 2). */
export interface LogoutRequest {
  endpoint: string;
  parameters: Record<string, string>;
}

/** The longest that a grant may take at the token endpoint, a second try included. */
export const tokenCallMs = 20_000;

export interface Provider {
  /** Builds the authorization request. Throws PosternError `provider_unavailable` when the metadata cannot be had. */
  startLogin(parameters: Record<string, string>): Promise<StartedLogin>;
  /** Redeems the code. `callbackUrl` is built from `publicUrl` and the query as it came. */
  finishLogin(callbackUrl: URL, checks: LoginChecks): Promise<FinishLoginOutcome>;
  /** One call of the token endpoint, never repeated here. `signal` bounds it. */
  refresh(tokens: Tokens, signal: AbortSignal): Promise<RefreshOutcome>;
  /** Verifies an ID token's signature, with new keys if it must; for a refreshed one whose tokens have been kept. */
  verifyIdToken(idToken: string): Promise<IdTokenCheck>;
  /** Everything that makes a logout token valid, save that it was not used before. */
  verifyLogoutToken(logoutToken: string): Promise<LogoutTokenCheck>;
  /** Revokes the refresh token, and with it the grant (RFC 7009). True when the provider confirmed, or has no such endpoint. */
  revoke(refreshToken: string): Promise<boolean>;
  /** Null when the provider has no end_session_endpoint, or its metadata cannot be had. */
  logoutRequest(idToken: string, state: string): Promise<LogoutRequest | null>;
  /** The origin of the end_session_endpoint, for `form-action`; undefined until the metadata is there. */
  endSessionOrigin(): string | undefined;
  /** Whether metadata has been had, for readiness' body. */
  ready(): boolean;
  close(): Promise<void>;
}
