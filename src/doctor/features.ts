// What a provider's metadata says that it can do (OpenID Connect Discovery 3, RFC 8414, and the specifications that add to them), in one shape.
import { signingAlgorithms } from '../oidc/metadata.ts';
import type { Metadata } from '../oidc/metadata.ts';

/** `null`: the metadata does not say. */
export interface Features {
  endSession: boolean;
  revocation: boolean;
  userinfo: boolean;
  backChannelLogout: boolean;
  /** Whether logout tokens name the session, not only the user. */
  backChannelLogoutSession: boolean;
  frontChannelLogout: boolean;
  par: 'required' | 'offered' | 'none';
  signedRequestsRequired: boolean;
  dpop: boolean;
  /** The `iss` parameter of authorization responses (RFC 9207). */
  iss: boolean;
  pkceS256: boolean | null;
  authMethods: string[] | null;
  /** Those that Postern accepts, of ID tokens. */
  signingAlgorithms: string[];
  scopes: string[] | null;
  acrValues: string[] | null;
  grantTypes: string[] | null;
  responseTypes: string[] | null;
  /** Whom Postern has to reach. */
  hosts: string[];
}

export function featuresOf(metadata: Metadata): Features {
  const { end_session_endpoint, revocation_endpoint, userinfo_endpoint } = metadata;
  const pushed = metadata.pushed_authorization_request_endpoint;
  const asked = [
    metadata.issuer,
    metadata.token_endpoint,
    metadata.jwks_uri,
    revocation_endpoint,
    userinfo_endpoint,
    pushed,
  ];
  return {
    endSession: end_session_endpoint !== undefined,
    revocation: revocation_endpoint !== undefined,
    userinfo: userinfo_endpoint !== undefined,
    backChannelLogout: metadata['backchannel_logout_supported'] === true,
    backChannelLogoutSession: metadata['backchannel_logout_session_supported'] === true,
    frontChannelLogout: metadata['frontchannel_logout_supported'] === true,
    par:
      pushed === undefined ? 'none' : metadata.require_pushed_authorization_requests === true ? 'required' : 'offered',
    signedRequestsRequired: metadata['require_signed_request_object'] === true,
    dpop: (words(metadata.dpop_signing_alg_values_supported) ?? []).length > 0,
    iss: metadata.authorization_response_iss_parameter_supported === true,
    pkceS256: words(metadata.code_challenge_methods_supported)?.includes('S256') ?? null,
    authMethods: words(metadata.token_endpoint_auth_methods_supported),
    signingAlgorithms: signingAlgorithms(metadata),
    scopes: words(metadata.scopes_supported),
    acrValues: words(metadata['acr_values_supported']),
    grantTypes: words(metadata.grant_types_supported),
    responseTypes: words(metadata.response_types_supported),
    hosts: [...new Set(asked.filter((url) => url !== undefined).map((url) => new URL(url).host))],
  };
}

// A list that holds something else than printable words says nothing.
function words(value: unknown): string[] | null {
  const isWord = (item: unknown): item is string => typeof item === 'string' && /^[\x20-\x7e]{1,200}$/.test(item);
  return Array.isArray(value) && value.every(isWord) ? value : null;
}
