// GET /bff/session: who is signed in, for the app. It neither refreshes tokens nor keeps the session alive (RFC 10017 section 6.1.2.1).
import type { RequestHandler } from 'express';
import { storeAway } from '../errors.ts';
import type { SessionCookie } from '../session/cookie.ts';
import { handleOf } from '../session/handles.ts';
import type { AccessTokens } from '../tokens/access-token.ts';
import type { OpenedSession } from '../tokens/opened-session.ts';
import type { TokenVault } from '../tokens/token-vault.ts';
import type { RequireOwnPages } from './own-pages.ts';
import { shownClaims } from './shown-claims.ts';
import type { ShownClaims } from './shown-claims.ts';

/** What the app is told of a session. Spans are seconds from now, so that a wrong clock in the browser does no harm. */
export interface SessionAnswer {
  authenticated: true;
  provider: 'default';
  user: ShownClaims;
  session: { handle: string; idleExpiresIn: number; expiresIn: number; accessTokenExpiresIn?: number };
}

export type DescribeSession = (session: OpenedSession) => SessionAnswer;

/** @param claimNames the claims that are shown beside `sub` */
export function createSessionDescription(options: {
  accessTokens: Pick<AccessTokens, 'remainingMs'>;
  claimNames: readonly string[];
}): DescribeSession {
  return (session) => {
    const { idle, absolute, accessToken } = options.accessTokens.remainingMs(session);
    return {
      authenticated: true,
      provider: 'default',
      user: shownClaims(session.tokens.claims, options.claimNames),
      session: {
        handle: handleOf(session.h),
        idleExpiresIn: wholeSeconds(Math.min(idle, absolute)),
        expiresIn: wholeSeconds(absolute),
        ...(accessToken === undefined ? {} : { accessTokenExpiresIn: wholeSeconds(accessToken) }),
      },
    };
  };
}

/** Answers 200 with a SessionAnswer or `{ authenticated: false, loginUrl }`, 403 `csrf_rejected`, 503 `session_store_unavailable`. */
export function createWhoAmI(options: {
  cookie: SessionCookie;
  vault: Pick<TokenVault, 'load'>;
  describe: DescribeSession;
  requireOwnPages: RequireOwnPages;
  loginPath: string;
}): RequestHandler {
  const nobody = { authenticated: false, loginUrl: options.loginPath };
  return async (request, response) => {
    const reading = options.cookie.read(request.headers.cookie);
    if (reading.kind !== 'absent') options.requireOwnPages(request);
    if (reading.kind !== 'valid') {
      response.json(nobody);
      return;
    }
    const outcome = await options.vault.load(reading);
    switch (outcome.kind) {
      case 'signed-in':
        response.json(options.describe(outcome.session));
        return;
      case 'signed-out':
        response.json(nobody);
        return;
      case 'unavailable':
        throw storeAway(outcome.cause);
    }
  };
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}
