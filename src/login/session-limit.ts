// How many sessions one user may have at a time (OWASP ASVS 5.0 V7.1.2): a login beyond the limit ends the oldest.
import type { SessionIndex, SessionOwner } from '../session/session-index.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { EndSession } from './end-session.ts';

/** To be called after a login is written, with its own session, which stays. Never throws for an outage: the next login makes up for it. */
export type LimitSessions = (owner: SessionOwner, ownH: string) => Promise<void>;

/** @param most sessions that a user may have: whoever lists or ends them looks at each */
export function createSessionLimit(options: {
  most: number;
  index: Pick<SessionIndex, 'bySubject'>;
  endSession: EndSession;
  log: Logger;
}): LimitSessions {
  const { most, index, endSession, log } = options;
  return async ({ iss, sub }, ownH) => {
    try {
      // All replicas see one order, so that two logins at the same moment agree on which sessions are the oldest and do not end each other.
      // A replica whose clock is behind may take its own login for an old one: that is no reason to end it.
      const surplus = (await index.bySubject(iss, sub)).slice(0, -most).filter(({ h }) => h !== ownH);
      await Promise.all(surplus.map(({ h }) => endSession(h, 'limit')));
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      log.warn({ err: error }, 'the limit of sessions is left to the next login: the store does not answer');
    }
  };
}
