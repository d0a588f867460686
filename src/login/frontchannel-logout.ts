// GET /bff/frontchannel-logout: the provider's logout page loads this in a frame (OpenID Connect Front-Channel Logout 1.0). Off unless configured.
// The Strict cookie does not come along, so the session is found by issuer and sid; without both nothing happens: anybody can link here.
import type { RequestHandler } from 'express';
import type { Provider } from '../oidc/provider.ts';
import type { SessionIndex } from '../session/session-index.ts';
import { endAll } from './end-session.ts';
import type { EndSession } from './end-session.ts';
import { queryOf, singleValue } from './query.ts';

/** Answers 200 with an empty page, whether there was a session or not; 503. Revokes nothing. */
export function createFrontchannelLogout(options: {
  issuer: string;
  provider: Pick<Provider, 'endSessionOrigin'>;
  index: Pick<SessionIndex, 'bySid'>;
  endSession: EndSession;
}): RequestHandler {
  const { issuer, provider, index, endSession } = options;

  async function end(iss: string | undefined, sid: string | undefined): Promise<void> {
    if (iss !== issuer || sid === undefined) return;
    await endAll(endSession, await index.bySid(iss, sid), 'front-channel');
  }

  return async (request, response) => {
    const query = queryOf(request);
    await end(singleValue(query, 'iss'), singleValue(query, 'sid'));
    const framers = new Set([new URL(issuer).origin, provider.endSessionOrigin() ?? []].flat());
    // X-Frame-Options knows no foreign origin; the policy says who may frame this, and that it holds nothing.
    response.removeHeader('x-frame-options');
    response.setHeader('content-security-policy', `default-src 'none'; frame-ancestors ${[...framers].join(' ')}`);
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end();
  };
}
