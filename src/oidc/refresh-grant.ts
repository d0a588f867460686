// One call with the refresh token, and what the answer means for the session (RFC 6749 section 6, OpenID Connect Core 12).
import { decodeJwt } from 'jose';
import { refreshTokenGrant } from 'openid-client';
import type { TokenEndpointResponse, TokenEndpointResponseHelpers } from 'openid-client';
import type { ConnectClient } from './client.ts';
import { classifyGrantFailure } from './failure.ts';
import type { GrantFailure } from './failure.ts';
import { checkIdTokenClaims, checkSameIdentity } from './id-token.ts';
import type { IdTokenVerifier } from './id-token.ts';
import type { Metadata } from './metadata.ts';
import { tokenCallMs } from './provider.ts';
import type { RefreshOutcome } from './provider.ts';
import type { createTokenEndpoint } from './token-endpoint.ts';
import { accessTokenFlaw, expiresInMs, narrowedScope, refreshExpiresInMs, refreshedClaims } from './token-response.ts';
import type { Claims, Tokens } from './token-set.ts';

/** RFC 6749 5.2 and OpenID Connect Core 3.1.2.6: the grant is gone, or needs the user. */
const grantIsOver = new Set(['invalid_grant', 'interaction_required', 'login_required', 'consent_required']);

/** `idTokens` must not ask the provider for keys; `now` as in ProviderOptions. */
export function createRefreshGrant(options: {
  clientId: string;
  connect: ConnectClient;
  tokenEndpoint: ReturnType<typeof createTokenEndpoint>;
  idTokens: Pick<IdTokenVerifier, 'isValidByKeysAtHand'>;
  now: () => number;
}) {
  const { clientId, connect, tokenEndpoint, idTokens, now } = options;

  /** `Provider.refresh`. The signature of a new ID token is checked with the keys at hand: fetching keys would put the rotated token at risk meanwhile. */
  async function refresh(tokens: Tokens, signal: AbortSignal): Promise<RefreshOutcome> {
    if (tokens.refreshToken === undefined) return { kind: 'ended', error: 'no_refresh_token' };
    const call = tokenEndpoint.open(tokenCallMs, signal);
    let connected;
    try {
      connected = await connect(call.fetch);
    } catch (cause) {
      return { kind: 'unavailable', sent: false, answered: false, retryAfterMs: undefined, cause };
    }
    let response;
    try {
      response = await refreshTokenGrant(connected.configuration, tokens.refreshToken);
    } catch (error) {
      return outcomeOf(classifyGrantFailure(error, call.record));
    }
    const answeredAt = now();
    const flaw = accessTokenFlaw(response);
    if (flaw !== undefined) return outcomeOf({ kind: 'bad-response', cause: flaw });
    const identity = await identityAfter(tokens, response, connected.metadata);
    if (identity === undefined) return { kind: 'ended', error: 'id_token_invalid' };
    return {
      kind: 'refreshed',
      unverifiedIdToken: identity.unverifiedIdToken,
      tokens: {
        accessToken: response.access_token,
        refreshToken: response.refresh_token ?? tokens.refreshToken,
        idToken: identity.idToken,
        claims: identity.claims,
        scope: narrowedScope(tokens.scope, response.scope),
        expiresInMs: expiresInMs(response, answeredAt - (call.record.sentAt ?? answeredAt)),
        refreshExpiresInMs: refreshExpiresInMs(response),
      },
    };
  }

  /** The ID token and the claims from now on; undefined when a new ID token breaks a rule. */
  async function identityAfter(
    tokens: Tokens,
    response: TokenEndpointResponse & TokenEndpointResponseHelpers,
    metadata: Metadata,
  ): Promise<(Pick<Tokens, 'idToken' | 'claims'> & { unverifiedIdToken: string | undefined }) | undefined> {
    const { id_token: idToken } = response;
    if (idToken === undefined) return { ...tokens, unverifiedIdToken: undefined };
    const newClaims = response.claims() as Claims;
    try {
      checkIdTokenClaims(newClaims, clientId);
      checkSameIdentity(tokens.claims, newClaims);
    } catch {
      return undefined;
    }
    const isValid = await idTokens.isValidByKeysAtHand(idToken, metadata, response.access_token);
    if (!isValid) return { ...tokens, unverifiedIdToken: idToken };
    const claims = refreshedClaims(tokens.claims, decodeJwt(tokens.idToken), newClaims);
    return { idToken, claims, unverifiedIdToken: undefined };
  }

  return { refresh };
}

function outcomeOf(failure: GrantFailure): RefreshOutcome {
  switch (failure.kind) {
    case 'unavailable':
      return failure;
    case 'denied':
      if (grantIsOver.has(failure.error)) return { kind: 'ended', error: failure.error };
      return { kind: 'misconfigured', cause: failure.cause };
    case 'bad-id-token':
      return { kind: 'ended', error: 'id_token_invalid' };
    case 'bad-response':
      return { kind: 'unavailable', sent: true, answered: true, retryAfterMs: undefined, cause: failure.cause };
  }
}
