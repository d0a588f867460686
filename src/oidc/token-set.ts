// What the provider gives us, in the shape the rest of the house uses.

/** Claims of the ID token and of userinfo; `sub` and `iss` are always there. */
export interface Claims {
  iss: string;
  sub: string;
  sid?: string;
  [claim: string]: unknown;
}

/** Tokens and identity of one session, as they are sealed. Never logged, never sent to the browser. */
export interface Tokens {
  accessToken: string;
  refreshToken: string | undefined;
  /** The newest ID token, for `id_token_hint` and for routes with `token: id`. */
  idToken: string;
  claims: Claims;
  /** The granted scope, as the provider said it or, when it did not, as it was asked for. */
  scope: string;
}

/** Tokens as the provider has just given them. */
export interface TokenSet extends Tokens {
  /** The access token's lifetime in ms, counted from the sending of the request so that latency never lengthens it; undefined when the provider did not say. */
  expiresInMs: number | undefined;
  /** The refresh token's own lifetime in ms, where the provider tells it (`refresh_expires_in`). */
  refreshExpiresInMs: number | undefined;
}
