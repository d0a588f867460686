// The OpenID provider behind its port: wires discovery, grants, revocation and logout to one another, and builds the authorization request
// (OpenID Connect Core 3.1.2.1, RFC 7636, RFC 9126).
import { readFileSync } from 'node:fs';
import { buildAuthorizationUrl, buildAuthorizationUrlWithPAR, calculatePKCECodeChallenge } from 'openid-client';
import { PosternError } from '../errors.ts';
import type { Logger } from '../telemetry/log.ts';
import { CircuitBreaker } from './breaker.ts';
import { createClient } from './client.ts';
import type { ProviderSettings } from './client.ts';
import { createCodeGrant } from './code-grant.ts';
import { createDiscovery } from './discovery.ts';
import { describeFailure } from './failure.ts';
import { callMs, createProviderHttp } from './http.ts';
import { createIdTokenVerifier } from './id-token.ts';
import { createLogoutTokenVerifier } from './logout-token.ts';
import type { Metadata } from './metadata.ts';
import { observeHttp } from './observed-provider.ts';
import type { ProviderObserver } from './observed-provider.ts';
import type { LoginChecks, Provider } from './provider.ts';
import { createRefreshGrant } from './refresh-grant.ts';
import { createRevocation } from './revocation.ts';
import { createSigningKeys } from './signing-keys.ts';
import { createTokenEndpoint } from './token-endpoint.ts';

export interface ProviderOptions {
  settings: ProviderSettings;
  /** Ours, from `publicUrl`; registered at the provider word for word. */
  redirectUri: string;
  postLogoutRedirectUri: string;
  /** False: the provider is told `client_id` alone at logout. */
  idTokenHint: boolean;
  /** Epoch ms, never going backwards: for spans. */
  now: () => number;
  /** Epoch ms, as the machine's clock has it now: for what the provider dates. */
  wallNow: () => number;
  /** That many random bytes. */
  random: (bytes: number) => Buffer;
  observer: ProviderObserver;
  log: Logger;
}

export interface ProviderClient extends Provider {
  /** Told when it begins to serve, and when another client does instead. */
  inForce: (isInForce: boolean) => void;
}

const retryAfterSeconds = 5;

/** Connects to a provider. It need not be up yet: what needs it says `provider_unavailable` until it is. */
export function createProvider(options: ProviderOptions): ProviderClient {
  const { settings, redirectUri, postLogoutRedirectUri, idTokenHint, now, wallNow, random, observer, log } = options;
  const { issuer, clientId } = settings;
  const http = observeHttp(createProviderHttp({ ca: settings.tls && readFileSync(settings.tls.ca.file, 'utf8') }), {
    observer,
    now,
  });
  const discovery = createDiscovery({ issuer, clientId, fetch: http.pooled(callMs), now, log });
  const connect = createClient({ settings, discovery });
  // One breaker each: what strangers bring to the callback must not stop the refreshes of those who are signed in.
  const breakerFor = (grant: 'code' | 'refresh'): CircuitBreaker =>
    new CircuitBreaker(now, (isOpen) => observer.breaker(grant, isOpen));
  const codeEndpoint = createTokenEndpoint({ http, breaker: breakerFor('code'), now });
  const refreshEndpoint = createTokenEndpoint({ http, breaker: breakerFor('refresh'), now });
  const keys = createSigningKeys({ fetch: http.pooled(callMs), now });
  const idTokens = createIdTokenVerifier(keys);
  const logoutTokens = createLogoutTokenVerifier({ keys, clientId, now: wallNow });
  const { finishLogin } = createCodeGrant({
    settings,
    redirectUri,
    connect,
    tokenEndpoint: codeEndpoint,
    http,
    idTokens,
    now,
    wallNow,
    log,
  });
  const { refresh } = createRefreshGrant({ clientId, connect, tokenEndpoint: refreshEndpoint, idTokens, now });
  const revocation = createRevocation({ connect, http, now, log });

  async function authorizationUrl(parameters: Record<string, string>): Promise<URL> {
    try {
      const { configuration, metadata } = await connect(http.fresh(callMs));
      // A push that fails is never made up for by a plain request: what was to be kept from the browser would be in its URL.
      if (metadata.pushed_authorization_request_endpoint !== undefined) {
        return await buildAuthorizationUrlWithPAR(configuration, parameters);
      }
      return buildAuthorizationUrl(configuration, parameters);
    } catch (error) {
      throw new PosternError('provider_unavailable', { cause: describeFailure(error), retryAfterSeconds });
    }
  }

  async function metadataOrNull(): Promise<Metadata | null> {
    return discovery.current().catch(() => null);
  }

  return {
    async startLogin(parameters) {
      const asked = { ...settings.authorizationParameters, ...parameters };
      const token = (): string => random(32).toString('base64url');
      const checks: LoginChecks = { state: token(), nonce: token(), codeVerifier: token() };
      if (asked['max_age'] !== undefined) checks.maxAge = seconds(asked['max_age']);
      if (asked['acr_values']) checks.acrValues = asked['acr_values'];
      const url = await authorizationUrl({
        ...asked,
        response_type: 'code',
        redirect_uri: redirectUri,
        scope: settings.scopes.join(' '),
        state: checks.state,
        nonce: checks.nonce,
        code_challenge: await calculatePKCECodeChallenge(checks.codeVerifier),
        code_challenge_method: 'S256',
      });
      return { url, checks };
    },

    finishLogin,
    refresh,

    async verifyIdToken(idToken) {
      try {
        return await idTokens.verify(idToken, await discovery.current());
      } catch (cause) {
        return { kind: 'unavailable', cause };
      }
    },

    async verifyLogoutToken(logoutToken) {
      try {
        return await logoutTokens.verify(logoutToken, await discovery.current());
      } catch (cause) {
        return { kind: 'unavailable', cause };
      }
    },

    revoke: revocation.revoke,

    async logoutRequest(idToken, state) {
      const endpoint = (await metadataOrNull())?.end_session_endpoint;
      if (endpoint === undefined) return null;
      return {
        endpoint,
        parameters: {
          ...(idTokenHint && { id_token_hint: idToken }),
          client_id: clientId,
          post_logout_redirect_uri: postLogoutRedirectUri,
          state,
        },
      };
    },

    endSessionOrigin() {
      const endpoint = discovery.known()?.end_session_endpoint;
      return endpoint && new URL(endpoint).origin;
    },

    ready: () => discovery.known() !== undefined,

    inForce: observer.inForce,
    async close() {
      discovery.close();
      revocation.close();
      await http.close();
    },
  };
}

function seconds(text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new PosternError('bad_request', { cause: new Error('max_age is no number of seconds') });
  return Number(text);
}
