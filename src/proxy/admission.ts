// What a request must show before it may use a route, whoever carries its bytes: method, origin, session, token.
// An API call is never redirected: what does not pass is an error with a code (RFC 10017 section 6.1, RFC 9457).
import type { IncomingHttpHeaders } from 'node:http';
import type { RouteConfig } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import type { CrossSiteRule } from '../http/cross-site.ts';
import { isFromOwnPages } from '../http/cross-site.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { AccessTokens } from '../tokens/access-token.ts';
import type { OpenedSession, SessionKey } from '../tokens/opened-session.ts';
import type { TokenVault } from '../tokens/token-vault.ts';
import { createClaimRule } from './claims.ts';

/** A canonical request target. */
export interface Target {
  path: string;
  query: string;
  hasEncodedSlash: boolean;
}

/** The request that somebody makes of us. */
export interface Asked {
  method: string;
  headers: IncomingHttpHeaders;
  target: Target;
  /** Where it is noted how long the request waited, in ms. */
  waits: { sessionMs: number; tokenMs: number };
}

export type Admission =
  | { kind: 'refused'; error: PosternError }
  /** `sessionHasEnded`: the request came with the cookie of a session that is no more. */
  | { kind: 'anonymous'; sessionHasEnded: boolean }
  /** `bearer`: the token for the upstream, if the route sends one. */
  | { kind: 'signed-in'; session: OpenedSession; bearer: string | undefined };

/** Decides about a request on one route: at once where nothing has to be waited for. Never rejects. */
export type Admit = (asked: Asked) => Admission | Promise<Admission>;

export interface AdmissionOptions {
  config: RouteConfig;
  publicUrl: string;
  crossSite: CrossSiteRule;
  cookie: Pick<SessionCookie, 'read'>;
  tokens: Pick<AccessTokens, 'atHand' | 'forCall'>;
  vault: Pick<TokenVault, 'slide'>;
  /** Monotonic, ms. */
  now: () => number;
  metrics: Pick<Metrics, 'crossSiteRejections'>;
}

/** What the cross-site rule asks of calls on one route. `requireHeader`: of the whole site, `csrf.requireHeader`. */
export function crossSiteOf(
  { csrf: { typedUrl, navigation } }: Pick<RouteConfig, 'csrf'>,
  { publicUrl, requireHeader }: { publicUrl: string; requireHeader: boolean },
): CrossSiteRule {
  return { origin: publicUrl, requireHeader, typedUrl, navigation };
}

/** Prepares the decisions about one route. */
export function createAdmission(options: AdmissionOptions): Admit {
  const { config, publicUrl, crossSite, cookie, tokens, vault, now, metrics } = options;
  const methods: readonly string[] = config.methods;
  const grant = createGrant(config);
  const call = { needsToken: config.token !== 'none' };

  /** What the request itself says against it, or undefined. */
  function refusalOf({ method, headers, target }: Asked, hasCookie: boolean): PosternError | undefined {
    if (target.hasEncodedSlash && config.encodedSlash === 'reject') return new PosternError('bad_request');
    // There is no CORS here: a preflight asks on behalf of another origin.
    if (isPreflight(method, headers) && headers.origin !== publicUrl) return new PosternError('csrf_rejected');
    if (!methods.includes(method)) {
      return new PosternError('method_not_allowed', { headers: { allow: methods.join(', ') } });
    }
    // Whatever the route's auth and whether or not the cookie is good: no other site may use this browser's session, or find out about it.
    if (hasCookie && !isFromOwnPages(method, headers, crossSite)) return new PosternError('csrf_rejected');
    return undefined;
  }

  function enter(session: OpenedSession): Admission {
    const granted = grant(session);
    if (config.activity && granted.kind === 'signed-in') vault.slide(session);
    return granted;
  }

  async function fetchSession(key: SessionKey, waits: Asked['waits']): Promise<Admission> {
    const startedAt = now();
    let loadedAt: number | undefined;
    const onWait = (): void => {
      loadedAt = now();
    };
    const outcome = await tokens.forCall(key, { ...call, onWait });
    const endedAt = now();
    waits.sessionMs += (loadedAt ?? endedAt) - startedAt;
    waits.tokenMs += endedAt - (loadedAt ?? endedAt);
    switch (outcome.kind) {
      case 'signed-in':
        return enter(outcome.session);
      case 'signed-out':
        return config.auth === 'required'
          ? { kind: 'refused', error: new PosternError('session_expired') }
          : { kind: 'anonymous', sessionHasEnded: true };
      case 'unavailable':
        return { kind: 'refused', error: outcome.error };
    }
  }

  return function admit(asked) {
    const reading = cookie.read(asked.headers.cookie);
    const refusal = refusalOf(asked, reading.kind !== 'absent');
    if (refusal !== undefined) {
      if (refusal.code === 'csrf_rejected') metrics.crossSiteRejections.inc();
      return { kind: 'refused', error: refusal };
    }
    if (config.auth === 'none') return { kind: 'anonymous', sessionHasEnded: false };
    if (reading.kind === 'valid') {
      const session = tokens.atHand(reading.h, call);
      return session === undefined ? fetchSession(reading, asked.waits) : enter(session);
    }
    if (config.auth === 'optional') return { kind: 'anonymous', sessionHasEnded: false };
    return { kind: 'refused', error: new PosternError('session_required') };
  };
}

/** What a session gets on a route: `forbidden`, or the token that the route sends. */
export type Grant = (session: OpenedSession) => Extract<Admission, { kind: 'refused' | 'signed-in' }>;

/** Prepares the grants on one route. */
export function createGrant(config: Pick<RouteConfig, 'require' | 'token'>): Grant {
  const tokenOf = createTokenChoice(config);
  const claimRule = createClaimRule(config.require);
  return function grant(session) {
    return claimRule?.(session.tokens.claims) === false
      ? { kind: 'refused', error: new PosternError('forbidden') }
      : { kind: 'signed-in', session, bearer: tokenOf?.(session) };
  };
}

/** Which of the session's tokens the upstream gets; undefined when it gets none. */
function createTokenChoice(config: Pick<RouteConfig, 'token'>): ((session: OpenedSession) => string) | undefined {
  switch (config.token) {
    case 'access':
      return ({ tokens }) => tokens.accessToken;
    case 'id':
      return ({ tokens }) => tokens.idToken;
    case 'none':
      return undefined;
  }
}

function isPreflight(method: string, headers: IncomingHttpHeaders): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
}
