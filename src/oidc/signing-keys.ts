// The provider's signing keys, and the signatures of the JWTs that it sends us (OpenID Connect Core 10.1, RFC 8725 sections 3.1 and 3.2).
// ID tokens and logout tokens share one set, and with it the limit to how often strangers' key ids make it be fetched.
import { compactVerify, createLocalJWKSet, createRemoteJWKSet, customFetch, errors } from 'jose';
import type { CompactJWSHeaderParameters, CompactVerifyGetKey } from 'jose';
import { ProviderFailure, describeFailure } from './failure.ts';
import { CallFailure } from './http.ts';
import type { ProviderFetch } from './http.ts';
import { signingAlgorithms } from './metadata.ts';
import type { Metadata } from './metadata.ts';

type KeySet = ReturnType<typeof createRemoteJWKSet>;

/** A new key is asked for at most once in this time, whatever key ids strangers invent. */
const cooldownMs = 1_000;
const keysLiveMs = 600_000;

export interface SigningKeys {
  /** The protected header of a JWT whose signature and algorithm are right; asks for new keys if it must. Throws jose's errors and CallFailure. */
  verify(jwt: string, metadata: Metadata): Promise<CompactJWSHeaderParameters>;
  /** The same with the keys that are at hand and without a word to the provider. */
  verifyByKeysAtHand(jwt: string, metadata: Metadata): Promise<CompactJWSHeaderParameters>;
}

/** Fetches the keys when they are first needed; `now` in ms. */
export function createSigningKeys(options: { fetch: ProviderFetch; now: () => number }): SigningKeys {
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
    verify: (jwt, metadata) => verifySignature(jwt, keySet(metadata.jwks_uri), signingAlgorithms(metadata)),

    async verifyByKeysAtHand(jwt, metadata) {
      const atHand = keySet(metadata.jwks_uri).jwks();
      if (atHand === undefined) throw new errors.JWKSNoMatchingKey();
      return verifyWithAnyKey(jwt, createLocalJWKSet(atHand), signingAlgorithms(metadata));
    },
  };
}

async function verifySignature(jwt: string, keys: KeySet, algorithms: string[]): Promise<CompactJWSHeaderParameters> {
  try {
    return await verifyWithAnyKey(jwt, keys, algorithms);
  } catch (error) {
    // Providers also rotate without a key id, or under the same one: look once whether the keys have changed.
    if (!(error instanceof errors.JWSSignatureVerificationFailed) || keys.coolingDown) throw error;
    await keys.reload();
    return await verifyWithAnyKey(jwt, keys, algorithms);
  }
}

async function verifyWithAnyKey(
  jwt: string,
  keys: CompactVerifyGetKey,
  algorithms: string[],
): Promise<CompactJWSHeaderParameters> {
  try {
    return (await compactVerify(jwt, keys, { algorithms })).protectedHeader;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      const verified = await compactVerify(jwt, key, { algorithms }).catch(() => undefined);
      if (verified !== undefined) return verified.protectedHeader;
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** Why a verification failed: `unavailable` when the keys are out of reach, which says nothing about the JWT. */
export function classifyVerification(error: unknown): { kind: 'invalid' | 'unavailable'; cause: ProviderFailure } {
  const cause =
    error instanceof errors.JOSEError ? new ProviderFailure(error.code, error.message) : describeFailure(error);
  return { kind: keysOutOfReach(error) ? 'unavailable' : 'invalid', cause };
}

function keysOutOfReach(error: unknown): boolean {
  const about = [errors.JWKSTimeout, errors.JWKSInvalid];
  return error instanceof CallFailure || about.some((kind) => error instanceof kind) || isPlainJoseError(error);
}

// jose's own class, and none of its subclasses, says that the answer was not 200 or not JSON.
function isPlainJoseError(error: unknown): boolean {
  return error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC';
}
