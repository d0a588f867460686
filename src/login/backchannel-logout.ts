// POST /bff/backchannel-logout: the provider says that it has ended a session, and ours end with it (OpenID Connect Back-Channel Logout 1.0).
// It comes from the provider's server: without a cookie, and nothing but the token shows who sent it.
import type { RequestHandler, Response } from 'express';
import { contextFor } from '../http/request-context.ts';
import type { Provider, ProviderLogout } from '../oidc/provider.ts';
import type { EndMarkers } from '../session/end-markers.ts';
import type { FoundSession, SessionIndex } from '../session/session-index.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Audit } from '../telemetry/audit.ts';
import type { EndSession } from './end-session.ts';
import { readForm } from './form-body.ts';

export interface BackchannelLogoutOptions {
  provider: Pick<Provider, 'verifyLogoutToken'>;
  markers: EndMarkers;
  index: Pick<SessionIndex, 'bySubject' | 'bySid'>;
  endSession: EndSession;
  issuer: string;
  audit: Audit;
}

type Outcome =
  | { kind: 'ended'; count: number }
  /** Nothing was ended, and the same request will never do better. */
  | { kind: 'refused'; why: string; cause?: unknown }
  /** Not everything was ended: the provider should send it again. */
  | { kind: 'failed'; cause: unknown };

// Providers date tokens minutes ahead, not years; after a day a replay meets no session that is old enough to be ended by it.
const longestReplaySeconds = 86_400;

/** Answers 200 also when there was nothing to end, and 400 with `{ error, error_description }` for everything else (section 2.8). */
export function createBackchannelLogout(options: BackchannelLogoutOptions): RequestHandler {
  const { provider, markers, index, endSession, issuer, audit } = options;

  async function affected({ iss, sid, sub, issuedAt }: ProviderLogout): Promise<FoundSession[] | 'of somebody else'> {
    if (sid === undefined) {
      await markers.markEnded({ iss, sub }, issuedAt);
      // Who has logged in again since has a new session, which this is not about.
      return (await index.bySubject(iss, sub)).filter(isNotAfter(issuedAt));
    }
    await markers.markEnded({ iss, sid }, issuedAt);
    const sessions = await index.bySid(iss, sid);
    const isTheirs = sub === undefined || sessions.every(({ record }) => record === 'unreadable' || record.sub === sub);
    return isTheirs ? sessions.filter(isNotAfter(issuedAt)) : 'of somebody else';
  }

  async function carryOut(logout: ProviderLogout): Promise<Outcome> {
    const { iss, jti, validSeconds } = logout;
    if (await markers.isSpent(iss, jti)) return { kind: 'refused', why: 'The logout token has been used before' };
    const sessions = await affected(logout);
    if (sessions === 'of somebody else') return { kind: 'refused', why: 'sid is the session of another sub' };
    const outcomes = await Promise.all(sessions.map(({ h }) => endSession(h, 'back-channel')));
    if (outcomes.includes('pending')) return { kind: 'failed', cause: new Error('sessions wait for their deletion') };
    await markers.spend(iss, jti, Math.min(validSeconds, longestReplaySeconds));
    return { kind: 'ended', count: sessions.length };
  }

  async function handle(form: URLSearchParams | undefined): Promise<Outcome> {
    const [logoutToken, ...others] = form?.getAll('logout_token') ?? [];
    if (logoutToken === undefined || others.length > 0) {
      return { kind: 'refused', why: 'One logout_token in a form of at most 64 KB is needed' };
    }
    const check = await provider.verifyLogoutToken(logoutToken);
    switch (check.kind) {
      case 'valid':
        return carryOut(check.logout);
      case 'invalid':
        return { kind: 'refused', why: 'The logout token is not valid', cause: check.cause };
      case 'unavailable':
        return { kind: 'failed', cause: check.cause };
    }
  }

  return async (request, response) => {
    const context = contextFor(request);
    const form = await readForm(request);
    // Whatever is left of a body that was too large is not waited for.
    if (form === undefined) response.setHeader('connection', 'close');
    const outcome = await handle(form).catch(toFailed);
    switch (outcome.kind) {
      case 'ended':
        audit('backchannel_logout', { request: context, issuer, sessions: outcome.count });
        response.status(200).end();
        return;
      case 'refused':
        audit('backchannel_logout_failed', { request: context, issuer, reason: outcome.why, cause: outcome.cause });
        refuse(response, 'invalid_request', outcome.why);
        return;
      case 'failed':
        audit('backchannel_logout_failed', { request: context, issuer, reason: 'unavailable', cause: outcome.cause });
        refuse(response, 'temporarily_unavailable', 'The logout could not be carried out at the moment');
    }
  };
}

// A damaged record does not say when its login was: then the session ends, as the provider wants, rather than stays.
function isNotAfter(issuedAt: number): (session: FoundSession) => boolean {
  return ({ record }) => record === 'unreadable' || record.issuedAt <= issuedAt;
}

function toFailed(error: unknown): Outcome {
  if (error instanceof StoreUnavailable) return { kind: 'failed', cause: error };
  throw error;
}

function refuse(response: Response, error: string, description: string): void {
  response.status(400).json({ error, error_description: description });
}
