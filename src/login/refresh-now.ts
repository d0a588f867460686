// POST /bff/refresh: new tokens and claims now, for an app that has just changed something about its user. Counts as activity.
import type { RequestHandler } from 'express';
import { PosternError } from '../errors.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { AccessTokens } from '../tokens/access-token.ts';
import type { TokenVault } from '../tokens/token-vault.ts';
import type { RequireOwnPages } from './own-pages.ts';
import type { DescribeSession } from './who-am-i.ts';

/** Answers 200 with a SessionAnswer, 401 `session_required` or `session_expired`, 403 `csrf_rejected`, 503. */
export function createRefreshNow(options: {
  cookie: SessionCookie;
  accessTokens: Pick<AccessTokens, 'refreshNow'>;
  vault: Pick<TokenVault, 'slide'>;
  describe: DescribeSession;
  requireOwnPages: RequireOwnPages;
}): RequestHandler {
  return async (request, response) => {
    const reading = options.cookie.read(request.headers.cookie);
    if (reading.kind !== 'absent') options.requireOwnPages(request);
    if (reading.kind !== 'valid') throw new PosternError('session_required');
    const outcome = await options.accessTokens.refreshNow(reading);
    switch (outcome.kind) {
      case 'signed-in':
        options.vault.slide(outcome.session);
        response.json(options.describe(outcome.session));
        return;
      case 'signed-out':
        throw new PosternError('session_expired');
      case 'unavailable':
        throw outcome.error;
    }
  };
}
