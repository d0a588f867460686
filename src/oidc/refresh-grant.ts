// One call with the refresh token, and what the answer means for the session (RFC 6749 section 6, OpenID Connect Core 12).
import { decodeJwt } from 'jose';
import { refreshTokenGrant } from 'openid-client';
import type { ConnectClient } from './client.ts';
import { classifyGrantFailure } from './failure.ts';
import type { GrantFailure } from './failure.ts';
import { checkIdTokenClaims, checkSameIdentity } from './id-token.ts';
import type { IdTokenVerifier } from './id-token.ts';
import type { RefreshOutcome } from './provider.ts';
import type { createTokenEndpoint } from './token-endpoint.ts';
import { expiresInMs, narrowedScope, refreshExpiresInMs, refreshedClaims } from './token-response.ts';
import type { Claims, Tokens } from './token-set.ts';

/** RFC 6749 5.2 and OpenID Connect Core 3.1.2.6: the grant is gone, or needs the user. */
const grantIsOver = new Set(['invalid_grant', 'interaction_required', 'login_required', 'consent_required']);
const tokenCallMs = 20_000;

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
    let identity: Pick<Tokens, 'idToken' | 'claims'> = tokens;
    let unverifiedIdToken: string | undefined;
    if (response.id_token !== undefined) {
      const newClaims = response.claims() as Claims;
      try {
        checkIdTokenClaims(newClaims, clientId);
        checkSameIdentity(tokens.claims, newClaims);
      } catch {
        return { kind: 'ended', error: 'id_token_invalid' };
      }
      if (await idTokens.isValidByKeysAtHand(response.id_token, connected.metadata, response.access_token)) {
        const claims = refreshedClaims(tokens.claims, decodeJwt(tokens.idToken), newClaims);
        identity = { idToken: response.id_token, claims };
      } else {
        unverifiedIdToken = response.id_token;
      }
    }
    return {
      kind: 'refreshed',
      unverifiedIdToken,
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
