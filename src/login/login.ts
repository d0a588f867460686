// GET /bff/login: starts an authorization code flow for a person on the way here (OIDC Core 3.1.2, RFC 10017 section 6.1.2.1).
// Scripts, frames, images and prefetches are refused, and other sites have to ask first: nobody is logged in behind their back.
import type { Request, RequestHandler, Response } from 'express';
import type { Config } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import { isNavigation } from '../http/navigation.ts';
import type { SecurityHeaders } from '../http/security-headers.ts';
import type { Provider } from '../oidc/provider.ts';
import type { SessionCookie } from '../session/cookie.ts';
import { redirect, sendPage } from './answers.ts';
import { loginWindowSeconds } from './login-counter.ts';
import type { LoginCounter } from './login-counter.ts';
import { createLoginParameters, withMaxAge } from './login-parameters.ts';
import type { PendingLogins } from './pending-login.ts';
import { queryOf, singleValue } from './query.ts';
import { safeReturnTo } from './return-to.ts';

export interface LoginOptions {
  provider: Pick<Provider, 'startLogin'>;
  pendingLogins: PendingLogins;
  loginCounter: LoginCounter;
  cookie: SessionCookie;
  securityHeaders: SecurityHeaders;
  settings: Pick<Config, 'login' | 'routes'>;
  /** From `publicUrl`. */
  origin: string;
  /** The path of this endpoint. */
  loginPath: string;
  /** Whether a path is Postern's own or an API's. */
  isReserved: (path: string) => boolean;
}

/** Answers 302 to the provider, 403 `navigation_required`, 429 `rate_limited`, 503 `provider_unavailable`, or the page that asks. */
export function createLogin(options: LoginOptions): RequestHandler {
  const { provider, pendingLogins, loginCounter, cookie } = options;
  const { crossSite, maxAge } = options.settings.login;
  const readParameters = createLoginParameters(options.settings);

  // A link, because browsers hold the redirect that follows a form against `form-action` as well, and the provider is not in there.
  function askFirst(response: Response, fields: Record<string, string>): void {
    sendPage(response, {
      status: 200,
      headers: options.securityHeaders.page({}),
      page: {
        title: 'Log in?',
        paragraphs: ['Another site has sent you here to log in. If you meant to, go on.'],
        links: [
          { href: `${options.loginPath}?${new URLSearchParams(fields)}`, text: 'Log in' },
          { href: '/', text: 'To the application' },
        ],
      },
    });
  }

  return async (request, response) => {
    if (!isNavigation(request.headers)) throw new PosternError('navigation_required');
    const query = queryOf(request);
    const parameters = readParameters(query);
    const returnTo = safeReturnTo(singleValue(query, 'returnTo'), options.origin, options.isReserved);
    if (crossSite === 'confirm' && isFromAnotherSite(request)) {
      askFirst(response, { ...parameters, returnTo });
      return;
    }
    if (!loginCounter.count(request, response)) {
      throw new PosternError('rate_limited', { retryAfterSeconds: loginWindowSeconds });
    }
    const { url, checks } = await provider.startLogin(withMaxAge(parameters, maxAge));
    const session = cookie.read(request.headers.cookie);
    pendingLogins.begin(request, response, {
      checks,
      returnTo,
      replaces: session.kind === 'valid' ? session.h : undefined,
    });
    redirect(response, 302, url.href);
  };
}

// `none` is an address that somebody typed or bookmarked; browsers without Fetch Metadata say nothing.
function isFromAnotherSite(request: Request): boolean {
  const site = request.headers['sec-fetch-site'];
  return site === 'cross-site' || site === 'same-site';
}
