// The callback's half of a login: check the authorization response, redeem the code, check the ID token, ask userinfo.
// OpenID Connect Core 3.1.3, RFC 9207; nothing in an answer is used before all of it has passed.
import { AuthorizationResponseError, authorizationCodeGrant, fetchUserInfo } from 'openid-client';
import type { Logger } from '../telemetry/log.ts';
import type { ConnectClient, ProviderSettings } from './client.ts';
import { classifyGrantFailure, describeFailure, errorCode } from './failure.ts';
import type { GrantFailure } from './failure.ts';
import { CallFailure, callMs } from './http.ts';
import type { ProviderFetch, ProviderHttp } from './http.ts';
import { checkAcr, checkIdTokenClaims, checkJustIssued } from './id-token.ts';
import type { IdTokenVerifier } from './id-token.ts';
import type { Metadata } from './metadata.ts';
import { tokenCallMs } from './provider.ts';
import type { FinishLoginOutcome, LoginChecks } from './provider.ts';
import type { createTokenEndpoint } from './token-endpoint.ts';
import { accessTokenFlaw, expiresInMs, mergeClaims, refreshExpiresInMs } from './token-response.ts';
import type { Claims } from './token-set.ts';

export interface CodeGrantOptions {
  settings: ProviderSettings;
  redirectUri: string;
  connect: ConnectClient;
  tokenEndpoint: ReturnType<typeof createTokenEndpoint>;
  http: ProviderHttp;
  idTokens: IdTokenVerifier;
  now: () => number;
  wallNow: () => number;
  log: Logger;
}

/** `now` and `wallNow` as in ProviderOptions. */
export function createCodeGrant(options: CodeGrantOptions) {
  const { settings, redirectUri, connect, tokenEndpoint, http, idTokens, now, wallNow, log } = options;

  /** `Provider.finishLogin`. */
  async function finishLogin(callbackUrl: URL, checks: LoginChecks): Promise<FinishLoginOutcome> {
    const call = tokenEndpoint.open(tokenCallMs);
    let connected;
    try {
      connected = await connect(call.fetch);
    } catch (cause) {
      return { kind: 'unavailable', cause };
    }
    const { configuration, metadata } = connected;
    try {
      const response = await authorizationCodeGrant(configuration, responseAt(redirectUri, callbackUrl), {
        pkceCodeVerifier: checks.codeVerifier,
        expectedState: checks.state,
        expectedNonce: checks.nonce,
        idTokenExpected: true,
        ...(checks.maxAge !== undefined && { maxAge: checks.maxAge }),
      });
      const answeredAt = now();
      const flaw = accessTokenFlaw(response);
      if (flaw !== undefined) return { kind: 'invalid', cause: flaw };
      const claims = response.claims() as Claims;
      const idToken = response.id_token ?? '';
      checkClaims(claims, checks);
      const signature = await idTokens.verify(idToken, metadata, response.access_token);
      if (signature.kind !== 'valid') return signature;
      const userinfo = await askUserinfo(metadata, response.access_token, claims.sub);
      return {
        kind: 'signed-in',
        tokens: {
          accessToken: response.access_token,
          refreshToken: response.refresh_token,
          idToken,
          claims: mergeClaims(claims, userinfo),
          scope: response.scope ?? settings.scopes.join(' '),
          expiresInMs: expiresInMs(response, answeredAt - (call.record.sentAt ?? answeredAt)),
          refreshExpiresInMs: refreshExpiresInMs(response),
        },
      };
    } catch (error) {
      if (error instanceof AuthorizationResponseError) return { kind: 'refused', error: errorCode(error.error) };
      return outcomeOf(classifyGrantFailure(error, call.record));
    }
  }

  /** What openid-client has not checked. Throws ProviderFailure. */
  function checkClaims(claims: Claims, { acrValues }: LoginChecks): void {
    checkIdTokenClaims(claims, settings.clientId);
    checkJustIssued(claims['iat'], wallNow());
    if (acrValues !== undefined) checkAcr(claims['acr'], acrValues);
  }

  // Out of reach or out of order, userinfo only costs claims; a userinfo about somebody else ends the login (Core 5.3.2).
  async function askUserinfo(metadata: Metadata, accessToken: string, sub: string): Promise<Record<string, unknown>> {
    if (settings.userinfo === 'never' || metadata.userinfo_endpoint === undefined) return {};
    try {
      const { configuration } = await connect(jsonOnly(http.pooled(callMs)));
      return await fetchUserInfo(configuration, accessToken, sub);
    } catch (error) {
      if (isAboutSomebodyElse(error)) throw error;
      log.warn({ err: describeFailure(error) }, 'userinfo cannot be read; the ID token’s claims have to do');
      return {};
    }
  }

  return { finishLogin };
}

// The redirect URI is ours to say; only the query comes from outside. openid-client repeats it at the token endpoint.
function responseAt(redirectUri: string, callbackUrl: URL): URL {
  const url = new URL(redirectUri);
  url.search = callbackUrl.search;
  return url;
}

function outcomeOf(failure: GrantFailure): FinishLoginOutcome {
  return { kind: failure.kind === 'unavailable' ? 'unavailable' : 'invalid', cause: failure.cause };
}

// openid-client would take the claims of a signed userinfo without looking at the signature.
function jsonOnly(fetch: ProviderFetch): ProviderFetch {
  return async (url, init) => {
    const response = await fetch(url, init);
    if (response.headers.get('content-type')?.startsWith('application/jwt') === true) {
      throw new CallFailure('userinfo_is_signed', { sent: true, answered: true });
    }
    return response;
  };
}

function isAboutSomebodyElse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED';
}
