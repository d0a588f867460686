// GET /bff/callback: the way back from the provider (RFC 6749 section 4.1.2, RFC 9207). Nothing is believed that this browser did not start,
// the code is redeemed once, and what becomes of the login is told here.
import type { Request, RequestHandler, Response } from 'express';
import { PosternError } from '../errors.ts';
import { contextFor } from '../http/request-context.ts';
import type { SecurityHeaders } from '../http/security-headers.ts';
import type { Provider } from '../oidc/provider.ts';
import type { TokenSet } from '../oidc/token-set.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { Audit } from '../telemetry/audit.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { redirect, sendPage } from './answers.ts';
import type { BeginSession } from './begin-session.ts';
import type { EndSession } from './end-session.ts';
import type { PendingLogin, PendingLogins } from './pending-login.ts';
import { queryOf } from './query.ts';
import type { LimitSessions } from './session-limit.ts';

export interface CallbackOptions {
  provider: Pick<Provider, 'finishLogin'>;
  pendingLogins: PendingLogins;
  beginSession: BeginSession;
  endSession: EndSession;
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
  randomId: () => string;
  metrics: Metrics;
  audit: Audit;
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
  const { provider, pendingLogins, beginSession, endSession, cookie, issuer, metrics, audit } = options;

  async function finish(
    request: Request,
    response: Response,
    flow: { login: PendingLogin; answer: URL },
  ): Promise<void> {
    const outcome = await provider.finishLogin(flow.answer, flow.login.checks);
    switch (outcome.kind) {
      case 'signed-in':
        await signIn(request, response, flow.login, outcome.tokens);
        return;
      case 'refused':
        tellFailure(request, 'refused', { reason: outcome.error });
        fail(response, outcome.error);
        return;
      case 'invalid':
        tellFailure(request, 'invalid', outcome);
        fail(response, 'login_failed');
        return;
      case 'unavailable':
        tellFailure(request, 'unavailable', outcome);
        throw new PosternError('provider_unavailable', { cause: outcome.cause, retryAfterSeconds: 5 });
    }
  }

  async function signIn(request: Request, response: Response, login: PendingLogin, tokens: TokenSet): Promise<void> {
    // Read first: a new session leaves no old cookie in the request.
    const presented = cookie.read(request.headers.cookie);
    const outcome = await beginSession(request, response, tokens);
    switch (outcome.kind) {
      case 'begun': {
        const { h, record } = outcome;
        metrics.logins.inc({ outcome: 'signed-in' });
        const replaced = new Set([login.replaces, presented.kind === 'valid' ? presented.h : undefined]);
        for (const old of replaced) if (old !== undefined) await endSession(old, 'replaced');
        await options.limitSessions(record, h);
        audit('login', { request: contextFor(request), h, issuer });
        redirect(response, 303, login.returnTo);
        return;
      }
      case 'ended':
        tellFailure(request, 'refused', { reason: 'ended meanwhile' });
        fail(response, 'login_failed');
        return;
      case 'failed':
        tellFailure(request, 'unavailable', outcome);
        throw outcome.cause;
    }
  }

  // The Strict session cookie does not come along from the provider, so whether this browser is signed in is asked from a page of ours.
  function askTheBrowser(request: Request, response: Response): void {
    const nonce = options.randomId();
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

  function tellFailure(
    request: Request,
    outcome: 'refused' | 'invalid' | 'unavailable' | 'unknown',
    { reason = outcome, cause }: { reason?: string; cause?: unknown } = {},
  ): void {
    metrics.logins.inc({ outcome });
    audit('login_failed', { request: contextFor(request), issuer, reason, cause });
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

function goOnIfSignedIn(sessionPath: string): string {
  const call = `fetch(${JSON.stringify(sessionPath)}, { headers: { 'X-CSRF': '1' } })`;
  return `${call}.then((answer) => answer.json()).then((session) => { if (session.authenticated) location.replace('/') }).catch(() => {})`;
}
