// GET and DELETE /bff/sessions: where somebody is signed in, and the end of it (OWASP ASVS 5.0 V7.5.2). Handles name sessions and open none.
import type { Request, RequestHandler } from 'express';
import { PosternError, storeAway } from '../errors.ts';
import type { SessionCookie } from '../session/cookie.ts';
import { handleOf } from '../session/handles.ts';
import type { FoundSession, SessionIndex } from '../session/session-index.ts';
import type { TokenVault } from '../tokens/token-vault.ts';
import { endAll } from './end-session.ts';
import type { EndSession } from './end-session.ts';
import type { RequireOwnPages } from './own-pages.ts';

/** What is told of a session. `createdAt` is ISO 8601. Of one whose record is damaged there is the handle alone. */
export interface ListedSession {
  handle: string;
  createdAt?: string;
  device?: string;
}

export interface OwnSessionsOptions {
  cookie: SessionCookie;
  vault: Pick<TokenVault, 'load'>;
  index: Pick<SessionIndex, 'bySubject'>;
  endSession: EndSession;
  requireOwnPages: RequireOwnPages;
}

/** What is told of a session, to its user and to operators alike. */
export function describeFound({ h, record }: FoundSession): ListedSession {
  if (record === 'unreadable') return { handle: handleOf(h) };
  return { handle: handleOf(h), createdAt: new Date(record.createdAt).toISOString(), device: record.device };
}

/**
 * Three handlers. All answer 401 `session_required` or `session_expired`, 403 `csrf_rejected`, 503; and with 200:
 * `list` `{ sessions: [{ handle, createdAt, device, current }] }`, the oldest first; `endOne` (path parameter `handle`) and `endOthers` `{ ended: n }`,
 * where `endOne` answers 404 `no_route` for a handle that is none of the caller's.
 */
export function createOwnSessions(
  options: OwnSessionsOptions,
): Record<'list' | 'endOne' | 'endOthers', RequestHandler> {
  const { cookie, vault, index, endSession } = options;

  async function sessionsOf(request: Request): Promise<{ ownH: string; sessions: FoundSession[] }> {
    const reading = cookie.read(request.headers.cookie);
    if (reading.kind !== 'absent') options.requireOwnPages(request);
    if (reading.kind !== 'valid') throw new PosternError('session_required');
    const outcome = await vault.load(reading);
    switch (outcome.kind) {
      case 'signed-in': {
        const { iss, sub } = outcome.session.tokens.claims;
        return { ownH: reading.h, sessions: await index.bySubject(iss, sub) };
      }
      case 'signed-out':
        throw new PosternError('session_expired');
      case 'unavailable':
        throw storeAway(outcome.cause);
    }
  }

  return {
    async list(request, response) {
      const { ownH, sessions } = await sessionsOf(request);
      response.json({
        sessions: sessions.map((session) => ({ ...describeFound(session), current: session.h === ownH })),
      });
    },

    async endOne(request, response) {
      const { sessions } = await sessionsOf(request);
      const named = sessions.filter(({ h }) => handleOf(h) === request.params['handle']);
      if (named.length === 0) throw new PosternError('no_route');
      response.json({ ended: await endAll(endSession, named, 'logout') });
    },

    async endOthers(request, response) {
      const { ownH, sessions } = await sessionsOf(request);
      const others = sessions.filter(({ h }) => h !== ownH);
      response.json({ ended: await endAll(endSession, others, 'logout') });
    },
  };
}
