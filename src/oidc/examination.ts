// What a provider says and does when an operator asks, before anybody has logged in: facts, which are judged elsewhere.
// It is asked the way a login asks, for nothing that it would have to keep: without a session, without a code, with a made-up refresh token.
import { readFileSync } from 'node:fs';
import { buildAuthorizationUrl, calculatePKCECodeChallenge, refreshTokenGrant } from 'openid-client';
import { CircuitBreaker } from './breaker.ts';
import { createClient } from './client.ts';
import type { ConnectClient, ProviderSettings } from './client.ts';
import { askForMetadata } from './discovery.ts';
import { classifyGrantFailure, describeFailure, errorCode } from './failure.ts';
import type { ProviderFailure } from './failure.ts';
import { callMs, createProviderHttp } from './http.ts';
import type { ProviderFetch, ProviderHttp } from './http.ts';
import { keysThatSign } from './metadata.ts';
import type { Metadata } from './metadata.ts';
import { certificateEndsAt } from './peer-certificate.ts';
import { createTokenEndpoint } from './token-endpoint.ts';

/** What came back from the metadata's URL, whatever became of it. */
export interface DiscoveryAnswer {
  url: string;
  status: number | undefined;
  /** The issuer that the answer names, if it names one. */
  issuer: string | undefined;
  /** How far the provider's clock is ahead of ours. */
  clockOffsetMs: number | undefined;
}

export type ProviderExamination =
  | { kind: 'no-metadata'; answer: DiscoveryAnswer; cause: ProviderFailure }
  | {
      kind: 'metadata';
      answer: DiscoveryAnswer;
      metadata: Metadata;
      keys: KeysAnswer;
      client: ClientAnswer;
      redirect: RedirectAnswer;
      /** Epoch ms; undefined on plain http. */
      certificateEndsAt: number | undefined;
    };

/** How many published keys can verify the provider's ID tokens. */
export type KeysAnswer = { kind: 'keys'; usable: number } | { kind: 'unavailable'; cause: ProviderFailure };

export type ClientAnswer =
  /** The made-up refresh token was refused, and so the client was not. */
  | { kind: 'accepted' }
  /** The client is known, and may not refresh. */
  | { kind: 'no-refresh' }
  | { kind: 'refused'; code: string }
  /** The answer does not tell. */
  | { kind: 'unknown'; code: string };

export type RedirectAnswer =
  /** The browser would have been sent back; `error` says why without a code, usually `login_required`. A provider that knows everybody gives a code. */
  | { kind: 'sent-back'; error: string | undefined }
  | { kind: 'refused'; status: number }
  /** The answer does not tell, or the question cannot be asked. */
  | { kind: 'unknown' };

/**
 * Asks the provider. Takes at most some 15 s, never throws, tells no secret.
 *
 * @param options.now epoch ms
 * @param options.random that many random bytes
 */
export async function examineProvider(options: {
  settings: ProviderSettings;
  redirectUri: string;
  now: () => number;
  random: (bytes: number) => Buffer;
}): Promise<ProviderExamination> {
  const { settings, redirectUri, now, random } = options;
  const { issuer, clientId } = settings;
  const ca = settings.tls && readFileSync(settings.tls.ca.file, 'utf8');
  const http = createProviderHttp({ ca });
  const answer: DiscoveryAnswer = { url: issuer, status: undefined, issuer: undefined, clockOffsetMs: undefined };
  try {
    const fetch = watched(http.pooled(callMs), answer, now);
    const metadata = await askForMetadata({ issuer, clientId, fetch });
    const connect = createClient({ settings, discovery: { current: () => Promise.resolve(metadata) } });
    const isHttps = issuer.startsWith('https:');
    const [keys, client, redirect, endsAt] = await Promise.all([
      askForKeys(http.pooled(callMs), metadata),
      askAsClient({ connect, http, now, random }),
      askForCode({ connect, http, settings, redirectUri, random }),
      isHttps ? certificateEndsAt(issuer, { ca, limitMs: callMs }) : undefined,
    ]);
    return { kind: 'metadata', answer, metadata, keys, client, redirect, certificateEndsAt: endsAt };
  } catch (error) {
    return { kind: 'no-metadata', answer, cause: describeFailure(error) };
  } finally {
    await http.close();
  }
}

function watched(fetch: ProviderFetch, answer: DiscoveryAnswer, now: () => number): ProviderFetch {
  return async (url, init) => {
    answer.url = url;
    const askedAt = now();
    const response = await fetch(url, init);
    answer.status = response.status;
    const date = Date.parse(response.headers.get('date') ?? '');
    // The header has whole seconds: half of one is the best guess at the rest.
    if (!Number.isNaN(date)) answer.clockOffsetMs = date + 500 - (askedAt + now()) / 2;
    const body: unknown = await response
      .clone()
      .json()
      .catch(() => undefined);
    const { issuer } = (body ?? {}) as { issuer?: unknown };
    if (typeof issuer === 'string') answer.issuer = issuer;
    return response;
  };
}

async function askForKeys(fetch: ProviderFetch, metadata: Metadata): Promise<KeysAnswer> {
  try {
    const response = await fetch(metadata.jwks_uri, { method: 'GET', headers: { accept: 'application/json' } });
    if (response.status !== 200) throw describeFailure(undefined, { ...noRecord, status: response.status });
    return { kind: 'keys', usable: keysThatSign(await response.json(), metadata) };
  } catch (error) {
    return { kind: 'unavailable', cause: describeFailure(error) };
  }
}

const noRecord = { sentAt: undefined, json: false, retryAfterMs: undefined, failure: undefined };

interface Asking {
  connect: ConnectClient;
  http: ProviderHttp;
  random: (bytes: number) => Buffer;
}

// RFC 6749, 5.2: a server looks at the client first, and says `invalid_grant` only to one that it knows.
async function askAsClient({ connect, http, random, now }: Asking & { now: () => number }): Promise<ClientAnswer> {
  const call = createTokenEndpoint({ http, breaker: new CircuitBreaker(now), now }).open(callMs);
  const { configuration } = await connect(call.fetch);
  try {
    await refreshTokenGrant(configuration, random(32).toString('base64url'));
    return { kind: 'unknown', code: 'http_200' };
  } catch (error) {
    const failure = classifyGrantFailure(error, call.record);
    if (failure.kind !== 'denied') return { kind: 'unknown', code: failure.cause.code };
    const code = failure.error;
    // Some call a wrong secret by another name, beside the status that RFC 6749 gives it.
    if (code === 'invalid_client' || call.record.status === 401) return { kind: 'refused', code };
    if (code === 'unauthorized_client' || code === 'unsupported_grant_type') return { kind: 'no-refresh' };
    return code === 'invalid_grant' ? { kind: 'accepted' } : { kind: 'unknown', code };
  }
}

// OpenID Connect Core 3.1.2.6: who is not logged in and asked for no page comes back with an error, but only to a registered redirect URI.
async function askForCode(
  options: Asking & { settings: ProviderSettings; redirectUri: string },
): Promise<RedirectAnswer> {
  const { connect, http, settings, redirectUri, random } = options;
  const fetch = http.pooled(callMs);
  const { configuration, metadata } = await connect(fetch);
  if (metadata.require_pushed_authorization_requests === true) return { kind: 'unknown' };
  const made = (): string => random(32).toString('base64url');
  const url = buildAuthorizationUrl(configuration, {
    ...settings.authorizationParameters,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: settings.scopes.join(' '),
    prompt: 'none',
    state: made(),
    nonce: made(),
    code_challenge: await calculatePKCECodeChallenge(made()),
    code_challenge_method: 'S256',
  });
  try {
    const { status, headers } = await fetch(url.href, { method: 'GET', headers: { accept: 'text/html' } });
    const location = headers.get('location') ?? '';
    if (location.startsWith(`${redirectUri}?`)) {
      const error = new URL(location).searchParams.get('error');
      return { kind: 'sent-back', error: error === null ? undefined : errorCode(error) };
    }
    return status >= 400 && status < 500 ? { kind: 'refused', status } : { kind: 'unknown' };
  } catch {
    return { kind: 'unknown' };
  }
}
