// What the provider's metadata must fulfil before any of it is used (OpenID Connect Discovery 4.3, RFC 8414 3.3, RFC 9700 2.6).
import type { ServerMetadata } from 'openid-client';
import { ProviderFailure } from './failure.ts';

/** Metadata that passed. */
export type Metadata = ServerMetadata & {
  authorization_endpoint: string;
  token_endpoint: string;
  jwks_uri: string;
};

const required = ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const;
const endpoints = [
  ...required,
  'userinfo_endpoint',
  'revocation_endpoint',
  'end_session_endpoint',
  'pushed_authorization_request_endpoint',
] as const;

/** Only signatures that a client cannot make itself: no `none`, no HMAC (RFC 8725, 3.1). */
const asymmetric = /^(?:RS|PS|ES)(?:256|384|512)$|^EdDSA$|^Ed25519$/;

/**
 * Checks metadata.
 *
 * @param issuer as configured; the metadata must say exactly this, or it speaks for somebody else
 * @throws ProviderFailure that names the member which is wrong
 */
export function checkMetadata(metadata: ServerMetadata, issuer: string): Metadata {
  if (metadata.issuer !== issuer) throw wrong('issuer', `is not the configured one (${issuer})`);
  const schemes = issuer.startsWith('https:') ? ['https:'] : ['https:', 'http:'];
  for (const name of endpoints) {
    const value = metadata[name];
    if (value === undefined && !(required as readonly string[]).includes(name)) continue;
    if (typeof value !== 'string' || !URL.canParse(value)) throw wrong(name, 'is missing or no URL');
    if (!schemes.includes(new URL(value).protocol)) throw wrong(name, 'is not https');
  }
  const methods = metadata.code_challenge_methods_supported;
  if (methods !== undefined && !(Array.isArray(methods) && methods.includes('S256'))) {
    throw wrong('code_challenge_methods_supported', 'does not contain S256');
  }
  if (metadata.require_pushed_authorization_requests === true && !metadata.pushed_authorization_request_endpoint) {
    throw wrong('pushed_authorization_request_endpoint', 'is missing, though pushing is required');
  }
  if (signingAlgorithms(metadata).length === 0) {
    throw wrong('id_token_signing_alg_values_supported', 'has no asymmetric algorithm');
  }
  return metadata as Metadata;
}

/** The algorithms that an ID token of this provider may be signed with; RS256 when it does not say (Core 3.1.3.7, item 7). */
export function signingAlgorithms(metadata: ServerMetadata): string[] {
  const offered: unknown = metadata.id_token_signing_alg_values_supported;
  if (!Array.isArray(offered)) return ['RS256'];
  return offered.filter((name): name is string => typeof name === 'string' && asymmetric.test(name));
}

/** How many keys of a JWK set (RFC 7517, 5) can verify an ID token of this provider: public ones, for signatures, of a kind that it signs with. */
export function keysThatSign(jwks: unknown, metadata: ServerMetadata): number {
  const { keys } = (jwks ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys)) return 0;
  const algorithms = signingAlgorithms(metadata);
  const kinds = new Set(algorithms.map((name) => keyKinds[name.slice(0, 2)]));
  return keys.filter((key: { kty?: unknown; use?: unknown; alg?: unknown } | null) => {
    if (key === null || (key.use !== undefined && key.use !== 'sig')) return false;
    return (
      typeof key.kty === 'string' && kinds.has(key.kty) && (typeof key.alg !== 'string' || algorithms.includes(key.alg))
    );
  }).length;
}

/** RFC 7518 section 6.1 and RFC 8037, by the start of the algorithm's name. */
const keyKinds: Record<string, string> = { RS: 'RSA', PS: 'RSA', ES: 'EC', Ed: 'OKP' };

function wrong(member: string, what: string): ProviderFailure {
  return new ProviderFailure('metadata_invalid', `The provider's metadata is refused: ${member} ${what}`);
}
