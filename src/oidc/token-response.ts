// From a token response to our token set: lifetimes, scope, claims. Pure.
import type { TokenEndpointResponse } from 'openid-client';
import { ProviderFailure } from './failure.ts';
import type { Claims } from './token-set.ts';

/** `iat` and `exp` are whole seconds, rounded down: whoever checks `exp` sees the token die up to a second before `expires_in` says. */
const roundingMs = 1_000;
/** Providers write absurd lifetimes; beyond this they all mean "long". */
const longestMs = 365 * 86_400_000;

/**
 * The access token's lifetime in ms, less the time the answer took and a second for rounding; undefined when the provider did not say (RFC 6749, 5.1).
 *
 * @param elapsedMs since the request was sent
 */
export function expiresInMs(response: TokenEndpointResponse, elapsedMs: number): number | undefined {
  if (response.expires_in === undefined) return undefined;
  return Math.max(0, Math.min(response.expires_in * 1000, longestMs) - Math.max(0, elapsedMs) - roundingMs);
}

/** The refresh token's lifetime in ms (`refresh_expires_in`, Keycloak's member); its 0 means that there is no end. */
export function refreshExpiresInMs(response: TokenEndpointResponse): number | undefined {
  const seconds = response['refresh_expires_in'];
  return typeof seconds === 'number' && seconds > 0 ? Math.min(seconds * 1000, longestMs) : undefined;
}

/** Why an access token is of no use: in a header go visible ASCII and spaces only (RFC 6749, A.12). With any other every call would fail. */
export function accessTokenFlaw({ access_token: token }: TokenEndpointResponse): ProviderFailure | undefined {
  if (/^[\x20-\x7e]+$/.test(token)) return undefined;
  return new ProviderFailure('unsendable_token', 'The access token fits in no header');
}

/** RFC 6749, 6: a refresh may narrow the scope and never widens it. */
export function narrowedScope(before: string, after: string | undefined): string {
  if (after === undefined) return before;
  const granted = new Set(before.split(' '));
  return after
    .split(' ')
    .filter((scope) => granted.has(scope))
    .join(' ');
}

/** The ID token's claims, and beside them what only userinfo said. What is signed wins. */
export function mergeClaims(idToken: Claims, userinfo: Record<string, unknown>): Claims {
  return { ...userinfo, ...idToken };
}

/** Claims after a refresh: a claim that the old ID token had and the new one has not is gone; userinfo's stay. */
export function refreshedClaims(before: Claims, oldIdToken: Record<string, unknown>, newIdToken: Claims): Claims {
  const fromUserinfo = Object.entries(before).filter(([name]) => !(name in oldIdToken));
  return mergeClaims(newIdToken, Object.fromEntries(fromUserinfo));
}
