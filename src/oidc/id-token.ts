// The ID token's signature and the rules that openid-client leaves out (OpenID Connect Core 3.1.3.7 and 3.1.3.8, RFC 8725).
// openid-client could verify signatures too, but asks for new keys at most once a minute, so that a login just after a key rotation would fail.
import { createHash } from 'node:crypto';
import { compactVerify, createLocalJWKSet, createRemoteJWKSet, customFetch, decodeJwt, errors } from 'jose';
import type { CompactJWSHeaderParameters, CompactVerifyGetKey } from 'jose';
import { ProviderFailure, describeFailure } from './failure.ts';
import { CallFailure } from './http.ts';
import type { ProviderFetch } from './http.ts';
import { signingAlgorithms } from './metadata.ts';
import type { Metadata } from './metadata.ts';
import type { IdTokenCheck } from './provider.ts';

type KeySet = ReturnType<typeof createRemoteJWKSet>;

/** A new key is asked for at most once in this time, whatever key ids strangers invent. */
const cooldownMs = 1_000;
const keysLiveMs = 600_000;
/** An ID token comes straight from the provider: one that was issued this far from now means a replay or a wrong clock. */
const clocksDifferMs = 300_000;

export interface IdTokenVerifier {
  /** Signature, algorithm and type. `accessToken`, where given, must match `at_hash`, where there is one. */
  verify(idToken: string, metadata: Metadata, accessToken?: string): Promise<IdTokenCheck>;
  /** The same with the keys that are at hand and without a word to the provider; false also means "not known". */
  isValidByKeysAtHand(idToken: string, metadata: Metadata, accessToken: string): Promise<boolean>;
}

export function createIdTokenVerifier(options: { fetch: ProviderFetch; now: () => number }): IdTokenVerifier {
  const { now } = options;
  let keys: { uri: string; set: KeySet } | undefined;
  let failedAt = -Infinity;

  // jose has a cool-down between successful fetches only: without this, every token would ask again while the keys are out of reach.
  const fetch: ProviderFetch = async (url, init) => {
    if (now() - failedAt < cooldownMs) throw new CallFailure('cooling_down', { sent: false, answered: false });
    try {
      const response = await options.fetch(url, init);
      if (response.status !== 200) failedAt = now();
      return response;
    } catch (error) {
      failedAt = now();
      throw error;
    }
  };

  function keySet(uri: string): KeySet {
    if (keys?.uri !== uri) {
      const set = createRemoteJWKSet(new URL(uri), {
        [customFetch]: fetch,
        cooldownDuration: cooldownMs,
        cacheMaxAge: keysLiveMs,
      });
      keys = { uri, set };
    }
    return keys.set;
  }

  return {
    async verify(idToken, metadata, accessToken) {
      try {
        const header = await verifySignature(idToken, keySet(metadata.jwks_uri), signingAlgorithms(metadata));
        checkBeyondSignature(idToken, header, accessToken);
        return { kind: 'valid' };
      } catch (error) {
        return { kind: keysOutOfReach(error) ? 'unavailable' : 'invalid', cause: describeJoseFailure(error) };
      }
    },

    async isValidByKeysAtHand(idToken, metadata, accessToken) {
      const atHand = keySet(metadata.jwks_uri).jwks();
      if (atHand === undefined) return false;
      try {
        const header = await verifyWithAnyKey(idToken, createLocalJWKSet(atHand), signingAlgorithms(metadata));
        checkBeyondSignature(idToken, header, accessToken);
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

async function verifySignature(
  idToken: string,
  keys: KeySet,
  algorithms: string[],
): Promise<CompactJWSHeaderParameters> {
  try {
    return await verifyWithAnyKey(idToken, keys, algorithms);
  } catch (error) {
    // Providers also rotate without a key id, or under the same one: look once whether the keys have changed.
    if (!(error instanceof errors.JWSSignatureVerificationFailed) || keys.coolingDown) throw error;
    await keys.reload();
    return await verifyWithAnyKey(idToken, keys, algorithms);
  }
}

async function verifyWithAnyKey(
  idToken: string,
  keys: CompactVerifyGetKey,
  algorithms: string[],
): Promise<CompactJWSHeaderParameters> {
  try {
    return (await compactVerify(idToken, keys, { algorithms })).protectedHeader;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      const verified = await compactVerify(idToken, key, { algorithms }).catch(() => undefined);
      if (verified !== undefined) return verified.protectedHeader;
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
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

function keysOutOfReach(error: unknown): boolean {
  const about = [errors.JWKSTimeout, errors.JWKSInvalid];
  return error instanceof CallFailure || about.some((kind) => error instanceof kind) || isPlainJoseError(error);
}

// jose's own class, and none of its subclasses, says that the answer was not 200 or not JSON.
function isPlainJoseError(error: unknown): boolean {
  return error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC';
}

function describeJoseFailure(error: unknown): ProviderFailure {
  return error instanceof errors.JOSEError ? new ProviderFailure(error.code, error.message) : describeFailure(error);
}

function broken(claim: string, what: string): ProviderFailure {
  return new ProviderFailure('id_token_invalid', `The ID token is refused: ${claim} ${what}`);
}
