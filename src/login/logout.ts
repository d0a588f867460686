// POST /bff/logout: ends the session here first, then points the browser to the provider's logout (OIDC RP-Initiated Logout 1.0, RFC 7009).
// The only place that deletes the session cookie.
import type { RequestHandler, Response } from 'express';
import { storeAway } from '../errors.ts';
import { isNavigation } from '../http/navigation.ts';
import { contextFor } from '../http/request-context.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { Audit } from '../telemetry/audit.ts';
import type { Logger } from '../telemetry/log.ts';
import type { OpenedSession, SessionKey } from '../tokens/opened-session.ts';
import type { TokenVault } from '../tokens/token-vault.ts';
import { redirect } from './answers.ts';
import type { EndSession } from './end-session.ts';
import type { LogoutTickets } from './logout-ticket.ts';
import type { RequireOwnPages } from './own-pages.ts';
import type { RevokeEnded } from './revoke-ended.ts';

export interface LogoutOptions {
  cookie: SessionCookie;
  vault: Pick<TokenVault, 'load'>;
  endSession: EndSession;
  revokeEnded: RevokeEnded;
  tickets: LogoutTickets;
  requireOwnPages: RequireOwnPages;
  /** The path of GET /bff/logout/continue. */
  continuePath: string;
  /** What the browser is to forget of the app; see the configuration. */
  clearSiteData: readonly string[];
  audit: Audit;
  log: Logger;
}

/**
 * Answers a fetch with 200 `{ logoutUrl }` and a form with 303 to it, signed in or not; 403 `csrf_rejected`;
 * 503 `session_store_unavailable` with the cookie kept: the session is refused here from now on, and its deletion is tried again.
 */
export function createLogout(options: LogoutOptions): RequestHandler {
  const { cookie, vault, tickets, log } = options;
  const clearSiteData = options.clearSiteData.map((kind) => `"${kind}"`).join(', ');

  async function end(key: SessionKey): Promise<OpenedSession | undefined> {
    // Read before it is gone: what the provider needs to be told is sealed in it.
    const loaded = await vault.load(key);
    if ((await options.endSession(key.h, 'logout')) === 'pending') {
      throw storeAway();
    }
    return loaded.kind === 'signed-in' ? loaded.session : undefined;
  }

  async function continueUrl(session: OpenedSession | undefined): Promise<string> {
    if (session === undefined) return options.continuePath;
    try {
      return `${options.continuePath}?ticket=${await tickets.issue(session.tokens.idToken)}`;
    } catch (error) {
      // The session is gone, so this logout has succeeded; only the provider's own session stays.
      log.warn({ err: error }, 'the logout at the provider is left out: its ticket could not be stored');
      return options.continuePath;
    }
  }

  function forgetCookie(response: Response): void {
    const { path, httpOnly, secure, sameSite } = cookie.attributes;
    response.clearCookie(cookie.name, { path, httpOnly, secure, sameSite });
  }

  return async (request, response) => {
    options.requireOwnPages(request);
    const reading = cookie.read(request.headers.cookie);
    const session = reading.kind === 'valid' ? await end(reading) : undefined;
    if (reading.kind !== 'absent') forgetCookie(response);
    if (session !== undefined) options.revokeEnded(session, 'logout');
    options.audit('logout', { request: contextFor(request), h: session?.h });

    const logoutUrl = await continueUrl(session);
    if (clearSiteData !== '') response.setHeader('Clear-Site-Data', clearSiteData);
    if (isNavigation(request.headers)) redirect(response, 303, logoutUrl);
    else response.json({ logoutUrl });
  };
}
