// The rules for ID tokens that openid-client leaves out, the signature first (OpenID Connect Core 3.1.3.7 and 3.1.3.8, RFC 8725).
// openid-client could verify signatures too, but asks for new keys at most once a minute, so that a login just after a key rotation would fail.
import { createHash } from 'node:crypto';
import { decodeJwt } from 'jose';
import type { CompactJWSHeaderParameters } from 'jose';
import { ProviderFailure } from './failure.ts';
import type { Metadata } from './metadata.ts';
import type { IdTokenCheck } from './provider.ts';
import { classifyVerification } from './signing-keys.ts';
import type { SigningKeys } from './signing-keys.ts';

/** An ID token comes straight from the provider: one that was issued this far from now means a replay or a wrong clock. */
export const clocksDifferMs = 300_000;

export interface IdTokenVerifier {
  /** Signature, algorithm and type. `accessToken`, where given, must match `at_hash`, where there is one. */
  verify(idToken: string, metadata: Metadata, accessToken?: string): Promise<IdTokenCheck>;
  /** The same with the keys that are at hand and without a word to the provider; false also means "not known". */
  isValidByKeysAtHand(idToken: string, metadata: Metadata, accessToken: string): Promise<boolean>;
}

/** Verifies with keys that logout tokens are verified with too. */
export function createIdTokenVerifier(keys: SigningKeys): IdTokenVerifier {
  return {
    async verify(idToken, metadata, accessToken) {
      try {
        checkBeyondSignature(idToken, await keys.verify(idToken, metadata), accessToken);
        return { kind: 'valid' };
      } catch (error) {
        return classifyVerification(error);
      }
    },

    async isValidByKeysAtHand(idToken, metadata, accessToken) {
      try {
        checkBeyondSignature(idToken, await keys.verifyByKeysAtHand(idToken, metadata), accessToken);
        return true;
      } catch {
        return false;
      }
    },
  };
}

function checkBeyondSignature(idToken: string, header: CompactJWSHeaderParameters, accessToken?: string): void {
  // An access token or logout token of the same issuer is no ID token (RFC 8725, 3.11).
  if (header.typ !== undefined && !/^(?:application\/)?jwt$/i.test(header.typ)) throw broken('typ', 'is not JWT');
  if (accessToken !== undefined) checkAccessTokenHash(idToken, accessToken, header.alg);
}

/**
 * The claims rules that openid-client leaves out: `azp` and the form of `sub`.
 *
 * @throws ProviderFailure that names the claim
 */
export function checkIdTokenClaims(claims: Record<string, unknown>, clientId: string): void {
  const { azp, sub } = claims;
  if (azp !== undefined && azp !== clientId) throw broken('azp', 'is another client');
  if (typeof sub !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(sub)) {
    throw broken('sub', 'is not 1 to 255 ASCII characters');
  }
}

/** `iat` at a login must be about now, in epoch ms. Throws ProviderFailure. */
export function checkJustIssued(iat: unknown, now: number): void {
  if (typeof iat !== 'number' || Math.abs(now - iat * 1000) > clocksDifferMs) throw broken('iat', 'is not now');
}

/**
 * Core 12.2: who a refreshed ID token speaks of must be who logged in.
 *
 * @throws ProviderFailure that names the claim
 */
export function checkSameIdentity(before: Record<string, unknown>, after: Record<string, unknown>): void {
  if (after['iss'] !== before['iss']) throw broken('iss', 'changed at a refresh');
  if (after['sub'] !== before['sub']) throw broken('sub', 'changed at a refresh');
  const audience = [after['aud']].flat();
  if (![before['aud'] ?? []].flat().every((member) => audience.includes(member))) {
    throw broken('aud', 'changed at a refresh');
  }
  if (after['nonce'] !== undefined && after['nonce'] !== before['nonce']) throw broken('nonce', 'changed at a refresh');
}

/** What was asked for must be what happened (Core 3.1.3.7, item 12). Throws ProviderFailure. */
export function checkAcr(acr: unknown, acrValues: string): void {
  if (typeof acr !== 'string' || !acrValues.split(' ').includes(acr)) throw broken('acr', 'is none of those asked for');
}

// The left half of the access token's hash, by the hash function of the ID token's own algorithm.
function checkAccessTokenHash(idToken: string, accessToken: string, algorithm: string): void {
  const { at_hash: expected } = decodeJwt(idToken);
  if (expected === undefined) return;
  const bits = /\d{3}$/.exec(algorithm)?.[0] ?? '512';
  const digest = createHash(`sha${bits}`).update(accessToken).digest();
  if (digest.subarray(0, digest.length / 2).toString('base64url') !== expected) {
    throw broken('at_hash', 'does not belong to the access token');
  }
}

function broken(claim: string, what: string): ProviderFailure {
  return new ProviderFailure('id_token_invalid', `The ID token is refused: ${claim} ${what}`);
}
