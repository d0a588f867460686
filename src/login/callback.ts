// GET /bff/callback: the way back from the provider (RFC 6749 section 4.1.2, RFC 9207). Nothing is believed that this browser did not start,
// the code is redeemed once, and a session exists only after both of its records are written.
import type { Request, RequestHandler, Response } from 'express';
import { PosternError } from '../errors.ts';
import { contextFor } from '../http/request-context.ts';
import type { SecurityHeaders } from '../http/security-headers.ts';
import type { Provider } from '../oidc/provider.ts';
import type { Claims, TokenSet } from '../oidc/token-set.ts';
import { hashOf } from '../session/cookie.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { EndMarkers } from '../session/end-markers.ts';
import type { SessionIndex } from '../session/session-index.ts';
import type { SessionRecord, Sessions } from '../session/session.ts';
import type { EndReason } from '../store/store.ts';
import type { Audit } from '../telemetry/audit.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { TokenVault } from '../tokens/token-vault.ts';
import { redirect, sendPage } from './answers.ts';
import type { EndSession } from './end-session.ts';
import type { PendingLogin, PendingLogins } from './pending-login.ts';
import { queryOf } from './query.ts';
import type { DiscardToken } from './revoke-ended.ts';
import type { LimitSessions } from './session-limit.ts';
import { shownClaims } from './shown-claims.ts';

export interface CallbackOptions {
  provider: Pick<Provider, 'finishLogin'>;
  pendingLogins: PendingLogins;
  sessions: Sessions;
  vault: Pick<TokenVault, 'put'>;
  index: Pick<SessionIndex, 'add' | 'read'>;
  markers: Pick<EndMarkers, 'hasEnded'>;
  endSession: EndSession;
  discardToken: DiscardToken;
  limitSessions: LimitSessions;
  cookie: SessionCookie;
  securityHeaders: SecurityHeaders;
  /** A path of the app that takes `?error=<code>`. */
  errorUrl: string | undefined;
  /** From `publicUrl`. */
  origin: string;
  /** The paths of the three endpoints. */
  paths: { callback: string; login: string; session: string };
  issuer: string;
  clientId: string;
  /** The claims that the session record keeps beside `sub`. */
  claimNames: readonly string[];
  now: () => number;
  randomId: () => string;
  metrics: Metrics;
  audit: Audit;
  log: Logger;
}

// A second value for one of these is somebody's attempt to have two readers see two answers.
const protocolParameters = [
  'code',
  'state',
  'iss',
  'error',
  'error_description',
  'error_uri',
  'session_state',
  'response',
];

/** Answers 303 to where the login was to end, or fails: 400 `login_failed`, 503; the session that was there stays untouched then. */
export function createCallback(options: CallbackOptions): RequestHandler {
  const { provider, pendingLogins, sessions, vault, index, endSession, cookie, issuer, metrics, audit, log } = options;

  // The Strict session cookie does not come along from the provider, so whether this browser is signed in is asked from a page of ours.
  function askTheBrowser(request: Request, response: Response): void {
    const nonce = options.randomId();
    metrics.logins.inc({ outcome: 'unknown' });
    tellFailure(request, 'unknown');
    sendPage(response, {
      status: 400,
      headers: options.securityHeaders.page({ scriptNonce: nonce }),
      page: {
        title: 'This login is no longer waiting',
        paragraphs: ['It was finished before, took too long, or was started in another browser.'],
        smallPrint: 'Code: login_failed.',
        links: [
          { href: options.paths.login, text: 'Log in again' },
          { href: '/', text: 'To the application' },
        ],
        script: { nonce, source: goOnIfSignedIn(options.paths.session) },
      },
    });
  }

  function fail(response: Response, error: string): void {
    if (options.errorUrl === undefined) throw new PosternError('login_failed');
    const url = new URL(options.errorUrl, options.origin);
    url.searchParams.set('error', error);
    redirect(response, 303, url.pathname + url.search + url.hash);
  }

  async function signIn(request: Request, response: Response, login: PendingLogin, tokens: TokenSet): Promise<void> {
    const presented = cookie.read(request.headers.cookie);
    const record = recordOf(request, tokens.claims);
    const h = await write(request, response, { record, tokens });
    if (h === undefined) {
      metrics.logins.inc({ outcome: 'refused' });
      tellFailure(request, 'ended meanwhile');
      fail(response, 'login_failed');
      return;
    }
    metrics.logins.inc({ outcome: 'signed-in' });
    const replaced = new Set([login.replaces, presented.kind === 'valid' ? presented.h : undefined]);
    for (const h of replaced) if (h !== undefined) await endSession(h, 'replaced');
    await options.limitSessions(record, h);
    audit('login', { request: contextFor(request), h, issuer });
    redirect(response, 303, login.returnTo);
  }

  function tellFailure(request: Request, reason: string, cause?: unknown): void {
    audit('login_failed', { request: contextFor(request), issuer, reason, cause });
  }

  // The order matters: who looks for sessions to end finds this one in the index, or has left a marker that is read when everything is written.
  async function write(
    request: Request,
    response: Response,
    { record, tokens }: { record: SessionRecord; tokens: TokenSet },
  ): Promise<string | undefined> {
    try {
      const sessionId = await sessions.rotate(request, response, record);
      const h = hashOf(sessionId);
      await index.add(h, record);
      await vault.put(sessionId, tokens);
      // Whoever ended it before its tokens were written has taken the session record away.
      const isWhole = (await index.read(h)) !== undefined;
      if (isWhole && !(await options.markers.hasEnded(record))) return h;
    } catch (cause) {
      metrics.logins.inc({ outcome: 'unavailable' });
      tellFailure(request, 'unavailable', cause);
      await abandon(request, tokens, 'revoked');
      throw cause;
    }
    await abandon(request, tokens, 'back-channel');
    return undefined;
  }

  // The store may have written and not said so: whatever is there of the new session goes, and the tokens are handed back.
  async function abandon(request: Request, { refreshToken }: TokenSet, reason: EndReason): Promise<void> {
    if (typeof request.sessionID === 'string') await endSession(hashOf(request.sessionID), reason);
    await sessions
      .destroy(request)
      .catch((error: unknown) => log.warn({ err: error }, 'a session record was not removed'));
    if (refreshToken !== undefined) options.discardToken(refreshToken);
  }

  function recordOf(request: Request, claims: Claims): SessionRecord {
    return {
      iss: claims.iss,
      sub: claims.sub,
      ...(claims.sid === undefined ? {} : { sid: claims.sid }),
      claims: shownClaims(claims, options.claimNames),
      clientId: options.clientId,
      createdAt: options.now(),
      issuedAt: Number(claims['iat']) * 1000,
      device: deviceOf(request.headers['user-agent']),
    };
  }

  async function finish(
    request: Request,
    response: Response,
    flow: { login: PendingLogin; answer: URL },
  ): Promise<void> {
    const outcome = await provider.finishLogin(flow.answer, flow.login.checks);
    // A good answer of the provider's is a login only once it is written.
    if (outcome.kind !== 'signed-in') metrics.logins.inc({ outcome: outcome.kind });
    switch (outcome.kind) {
      case 'signed-in':
        await signIn(request, response, flow.login, outcome.tokens);
        break;
      case 'refused':
        tellFailure(request, outcome.error);
        fail(response, outcome.error);
        break;
      case 'invalid':
        tellFailure(request, 'invalid', outcome.cause);
        fail(response, 'login_failed');
        break;
      case 'unavailable':
        tellFailure(request, 'unavailable', outcome.cause);
        throw new PosternError('provider_unavailable', { cause: outcome.cause, retryAfterSeconds: 5 });
    }
  }

  return async (request, response) => {
    const answer = new URL(options.origin + options.paths.callback);
    answer.search = queryOf(request).toString();
    if (protocolParameters.some((name) => answer.searchParams.getAll(name).length > 1)) {
      throw new PosternError('bad_request');
    }
    const login = pendingLogins.find(request, answer.searchParams.get('state'));
    if (login === undefined) {
      askTheBrowser(request, response);
    } else if (await pendingLogins.claim(login)) {
      pendingLogins.remove(response, login);
      await finish(request, response, { login, answer });
    } else {
      // Reloaded while the first was under way: that one sets the cookie.
      redirect(response, 303, login.returnTo);
    }
  };
}

function deviceOf(userAgent: string | undefined): string {
  return (userAgent ?? '').replace(/[^\x20-\x7e]/g, '').slice(0, 256);
}

function goOnIfSignedIn(sessionPath: string): string {
  const call = `fetch(${JSON.stringify(sessionPath)}, { headers: { 'X-CSRF': '1' } })`;
  return `${call}.then((answer) => answer.json()).then((session) => { if (session.authenticated) location.replace('/') }).catch(() => {})`;
}
