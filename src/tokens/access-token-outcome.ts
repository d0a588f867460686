// What asking for a session's access token comes to.
import { PosternError } from '../errors.ts';
import type { OpenedSession } from './opened-session.ts';

/** What a caller gets; it switches over all three. */
export type AccessTokenOutcome =
  | { kind: 'signed-in'; session: OpenedSession }
  | { kind: 'signed-out' }
  /** Nobody knows at the moment: 503, and the cookie stays. */
  | { kind: 'unavailable'; error: PosternError };

/** The provider did not answer, or not usefully: 503 for those whose token has run out. */
export function providerAway(retryInMs: number): AccessTokenOutcome {
  const retryAfterSeconds = Math.max(1, Math.ceil(retryInMs / 1000));
  return { kind: 'unavailable', error: new PosternError('provider_unavailable', { retryAfterSeconds }) };
}

/** What a session that was opened, or is gone, comes to. */
export function outcomeOf(session: OpenedSession | null): AccessTokenOutcome {
  return session === null ? { kind: 'signed-out' } : { kind: 'signed-in', session };
}
