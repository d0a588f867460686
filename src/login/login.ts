// GET /bff/login: starts an authorization code flow for a person on the way here (OIDC Core 3.1.2, RFC 10017 section 6.1.2.1).
// Scripts, frames, images and prefetches are refused, and other sites have to ask first: nobody is logged in behind their back.
import type { Request, RequestHandler, Response } from 'express';
import type { Config, loginParameters } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import { isNavigation } from '../http/navigation.ts';
import type { SecurityHeaders } from '../http/security-headers.ts';
import type { Provider } from '../oidc/provider.ts';
import type { SessionCookie } from '../session/cookie.ts';
import { redirect, sendPage } from './answers.ts';
import { loginWindowSeconds } from './login-counter.ts';
import type { LoginCounter } from './login-counter.ts';
import type { PendingLogins } from './pending-login.ts';
import { queryOf, singleValue } from './query.ts';
import { safeReturnTo } from './return-to.ts';

export interface LoginOptions {
  provider: Pick<Provider, 'startLogin'>;
  pendingLogins: PendingLogins;
  loginCounter: LoginCounter;
  cookie: SessionCookie;
  securityHeaders: SecurityHeaders;
  settings: Pick<Config['login'], 'crossSite' | 'parameters' | 'maxAge'>;
  /** From `publicUrl`. */
  origin: string;
  /** The path of this endpoint. */
  loginPath: string;
  /** Whether a path is Postern's own or an API's. */
  isReserved: (path: string) => boolean;
}

// Short, because acr_values and max_age travel in the transaction cookie, and clean, because all of them end in a URL.
const accepted: Record<(typeof loginParameters)[number], RegExp> = {
  prompt: /^(none|(login|consent|select_account)( (login|consent|select_account)){0,2})$/,
  login_hint: /^[^\p{C}]{1,256}$/u,
  max_age: /^\d{1,9}$/,
  acr_values: /^(?=.{1,128}$)[\x21-\x7e]+( [\x21-\x7e]+)*$/,
  ui_locales: /^[A-Za-z0-9-]{1,35}( [A-Za-z0-9-]{1,35}){0,9}$/,
};

/** Answers 302 to the provider, 403 `navigation_required`, 429 `rate_limited`, 503 `provider_unavailable`, or the page that asks. */
export function createLogin(options: LoginOptions): RequestHandler {
  const { provider, pendingLogins, loginCounter, cookie, settings } = options;

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
    const parameters = readParameters(query, settings.parameters);
    const returnTo = safeReturnTo(singleValue(query, 'returnTo'), options.origin, options.isReserved);
    if (settings.crossSite === 'confirm' && isFromAnotherSite(request)) {
      askFirst(response, { ...parameters, returnTo });
      return;
    }
    if (!loginCounter.count(request, response)) {
      throw new PosternError('rate_limited', { retryAfterSeconds: loginWindowSeconds });
    }
    const { url, checks } = await provider.startLogin(withMaxAge(parameters, settings.maxAge));
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

// What is not allowed, malformed or given twice is left out: it can neither reach the provider nor keep anybody from logging in.
function readParameters(query: URLSearchParams, allowed: Config['login']['parameters']): Record<string, string> {
  const entries = allowed.flatMap((name) => {
    const value = singleValue(query, name);
    return value !== undefined && accepted[name].test(value) ? [[name, value]] : [];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}

// An application may ask for a fresher login than the configuration does, never for a staler one.
function withMaxAge(parameters: Record<string, string>, mostSeconds: number | undefined): Record<string, string> {
  if (mostSeconds === undefined) return parameters;
  const { max_age: asked = Infinity } = parameters;
  return { ...parameters, max_age: String(Math.min(Number(asked), Math.floor(mostSeconds))) };
}
