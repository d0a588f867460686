// How header fields are made on one route, whatever passes there: calls and WebSocket handshakes see the same rules.
import type { HeaderList } from '../http/security-headers.ts';
import type { SessionCookie } from '../session/cookie.ts';
import { createResponseHeaders } from './response-headers.ts';
import type { BuildResponseHeaders } from './response-headers.ts';
import type { Route } from './routes.ts';
import { createUpstreamHeaders } from './upstream-headers.ts';
import type { BuildUpstreamHeaders } from './upstream-headers.ts';

export interface RouteHeaders {
  toUpstream: BuildUpstreamHeaders;
  toClient: BuildResponseHeaders;
}

export interface RouteHeadersOptions {
  publicUrl: string;
  cookie: Pick<SessionCookie, 'isOwn'>;
  /** Headers of every proxied answer. */
  securityHeaders: HeaderList;
  /** Names that carry claims, on this route or another. */
  claimNames: readonly string[];
}

/** Prepares both builders of a route. */
export function createRouteHeaders({ config, upstream }: Route, options: RouteHeadersOptions): RouteHeaders {
  const { publicUrl, cookie, securityHeaders, claimNames } = options;
  const requestCookies = new Set(config.cookies.request);
  const responseCookies = new Set(config.cookies.response);
  return {
    toUpstream: createUpstreamHeaders({
      publicUrl,
      authority: upstream.authority,
      passesCookie: requestCookies.size > 0 && ((name) => requestCookies.has(name) && !cookie.isOwn(name)),
      headers: config.headers,
      claimNames,
    }),
    toClient: createResponseHeaders({
      securityHeaders,
      passesCookie: (name) => responseCookies.has(name) && !cookie.isOwn(name),
      cache: config.cache,
      variesByCookie: config.auth !== 'none',
      headers: config.headers.response,
      contentSecurityPolicy: config.contentSecurityPolicy,
    }),
  };
}
