// The end of a session, whoever asks for it: both records go, everybody is told, and nobody finds it in the index any more.
import { storeAway } from '../errors.ts';
import type { FoundSession, SessionIndex } from '../session/session-index.ts';
import type { EndReason } from '../store/store.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { TokenVault } from '../tokens/token-vault.ts';

/** `pending`: the store is away; the session is refused here from now on, and its deletion is tried again. */
export type EndSession = (h: string, reason: EndReason) => Promise<'ended' | 'pending'>;

/** To end a session that is gone is `ended` as well. */
export function createEndSession(options: {
  index: Pick<SessionIndex, 'read' | 'remove'>;
  vault: Pick<TokenVault, 'end'>;
}): EndSession {
  const { index, vault } = options;
  return async (h, reason) => {
    // Read before it is gone: the index is kept by what stands in it.
    const owner = await orUndefined(index.read(h));
    const outcome = await vault.end(h, reason);
    // What stays in the index is dropped by whoever reads it next.
    if (owner !== undefined && owner !== 'unreadable') await orUndefined(index.remove(h, owner));
    return outcome;
  };
}

/** Ends sessions and gives their number. Throws PosternError `session_store_unavailable` when one of them has to wait; it is refused here all the same. */
export async function endAll(
  endSession: EndSession,
  sessions: readonly Pick<FoundSession, 'h'>[],
  reason: EndReason,
): Promise<number> {
  const { ended, pending } = await endEach(endSession, sessions, reason);
  if (pending > 0) throw storeAway();
  return ended;
}

/** Ends sessions and gives the number of each outcome. */
export async function endEach(
  endSession: EndSession,
  sessions: readonly Pick<FoundSession, 'h'>[],
  reason: EndReason,
): Promise<Record<'ended' | 'pending', number>> {
  const outcomes = await Promise.all(sessions.map(({ h }) => endSession(h, reason)));
  const pending = outcomes.filter((outcome) => outcome === 'pending').length;
  return { ended: outcomes.length - pending, pending };
}

async function orUndefined<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof StoreUnavailable) return undefined;
    throw error;
  }
}
