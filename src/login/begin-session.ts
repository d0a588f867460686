// What a login writes down: the session record, its place in the index, the tokens. The order matters: who looks for sessions to end finds this one in the
// index, or has left a marker that is read when everything is written (OpenID Connect Back-Channel Logout 1.0 section 2.6).
import type { Request, Response } from 'express';
import type { Claims, TokenSet } from '../oidc/token-set.ts';
import { hashOf } from '../session/cookie.ts';
import type { EndMarkers } from '../session/end-markers.ts';
import type { SessionIndex } from '../session/session-index.ts';
import type { SessionRecord, Sessions } from '../session/session.ts';
import type { EndReason } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Lifetimes, TokenVault } from '../tokens/token-vault.ts';
import type { EndSession } from './end-session.ts';
import type { DiscardToken } from './revoke-ended.ts';
import { shownClaims } from './shown-claims.ts';

export interface BeginSessionOptions {
  sessions: Sessions;
  vault: Pick<TokenVault, 'put'>;
  lifetimes: Lifetimes;
  index: Pick<SessionIndex, 'add' | 'read'>;
  markers: Pick<EndMarkers, 'hasEnded'>;
  endSession: EndSession;
  discardToken: DiscardToken;
  clientId: string;
  /** The claims that the session record keeps beside `sub`. */
  claimNames: readonly string[];
  /** Epoch ms. */
  now: () => number;
  log: Logger;
}

export type BeginSessionOutcome =
  /** Both records are written, and the response will set the cookie. */
  | { kind: 'begun'; h: string; record: SessionRecord }
  /** The provider has ended it meanwhile. */
  | { kind: 'ended' }
  /** `cause` is what a write has thrown, usually StoreUnavailable. */
  | { kind: 'failed'; cause: unknown };

/** Begins a session with these tokens. Where none is begun nothing is left of it, as far as the store can be reached, and the refresh token is handed back. */
export type BeginSession = (request: Request, response: Response, tokens: TokenSet) => Promise<BeginSessionOutcome>;

export function createBeginSession(options: BeginSessionOptions): BeginSession {
  const { sessions, vault, index, markers, endSession, log } = options;

  function recordOf(request: Request, claims: Claims): SessionRecord {
    return {
      iss: claims.iss,
      sub: claims.sub,
      ...(claims.sid === undefined ? {} : { sid: claims.sid }),
      claims: shownClaims(claims, options.claimNames),
      clientId: options.clientId,
      createdAt: options.now(),
      issuedAt: Number(claims['iat']) * 1000,
      device: deviceOf(request.headers['user-agent']),
    };
  }

  // The store may have written and not said so: whatever is there of the new session goes.
  async function abandon(request: Request, { refreshToken }: TokenSet, reason: EndReason): Promise<void> {
    if (typeof request.sessionID === 'string') await endSession(hashOf(request.sessionID), reason);
    await sessions
      .destroy(request)
      .catch((error: unknown) => log.warn({ err: error }, 'a session record was not removed'));
    if (refreshToken !== undefined) options.discardToken(refreshToken);
  }

  return async function beginSession(request, response, tokens) {
    const record = recordOf(request, tokens.claims);
    try {
      const sessionId = await sessions.rotate(request, response, record);
      const h = hashOf(sessionId);
      await index.add(h, record);
      await vault.put(sessionId, tokens, options.lifetimes);
      // Whoever ended it before its tokens were written has taken the session record away.
      const isWhole = (await index.read(h)) !== undefined;
      if (isWhole && !(await markers.hasEnded(record))) return { kind: 'begun', h, record };
    } catch (cause) {
      await abandon(request, tokens, 'revoked');
      return { kind: 'failed', cause };
    }
    await abandon(request, tokens, 'back-channel');
    return { kind: 'ended' };
  };
}

function deviceOf(userAgent: string | undefined): string {
  return (userAgent ?? '').replace(/[^\x20-\x7e]/g, '').slice(0, 256);
}
