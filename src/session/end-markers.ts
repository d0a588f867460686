// What the provider has ended, remembered for the logins that are still being written, and which logout tokens have done their work
// (OpenID Connect Back-Channel Logout 1.0 sections 2.6 and 2.7).
import type { Store } from '../store/store.ts';
import { nameOf } from './session-index.ts';
import type { SessionRecord } from './session.ts';

/** What a logout token ends: one session at the provider, or everything of a user. */
export type EndedScope = { iss: string; sid: string } | { iss: string; sub: string };

export interface EndMarkers {
  /** To be called before the sessions are looked up: a login that has not been found by then finds this. `issuedAt` is the logout token's, epoch ms on the provider's clock. */
  markEnded(scope: EndedScope, issuedAt: number): Promise<void>;
  /** Whether the provider has ended this login since it issued its ID token. To be called after both records of the session are written. */
  hasEnded(record: Pick<SessionRecord, 'iss' | 'sub' | 'sid' | 'issuedAt'>): Promise<boolean>;
  /** Whether a logout token has been used. */
  isSpent(iss: string, jti: string): Promise<boolean>;
  /** Only after its sessions have ended, so that the provider can send it again when they have not. */
  spend(iss: string, jti: string, ttlSeconds: number): Promise<void>;
}

// No login takes as long from its ID token to its last write.
const markerSeconds = 600;

/** Every operation throws StoreUnavailable. */
export function createEndMarkers({ store }: { store: Pick<Store, 'mark' | 'marked'> }): EndMarkers {
  return {
    markEnded: (scope, issuedAt) => store.mark(markerKey(scope), issuedAt, markerSeconds),

    async hasEnded({ iss, sub, sid, issuedAt }) {
      const scopes: EndedScope[] = [{ iss, sub }, ...(sid === undefined ? [] : [{ iss, sid }])];
      const endedAt = await Promise.all(scopes.map((scope) => store.marked(markerKey(scope))));
      // A login after the logout is a new one, and stays.
      return endedAt.some((instant) => instant !== null && issuedAt <= instant);
    },

    isSpent: async (iss, jti) => (await store.marked(jtiKey(iss, jti))) !== null,
    spend: (iss, jti, ttlSeconds) => store.mark(jtiKey(iss, jti), 0, ttlSeconds),
  };
}

function markerKey(scope: EndedScope): string {
  return `ended:${nameOf('sid' in scope ? ['sid', scope.iss, scope.sid] : ['sub', scope.iss, scope.sub])}`;
}

function jtiKey(iss: string, jti: string): string {
  return `jti:${nameOf([iss, jti])}`;
}
