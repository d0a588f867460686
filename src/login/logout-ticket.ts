// What the way to the provider's logout needs, kept for the minute between the app's POST and the browser's navigation.
// The store holds it under a hash of the ticket, sealed under the ticket, which only the browser has.
import { createHash } from 'node:crypto';
import type { Store } from '../store/store.ts';
import type { TicketBox } from '../tokens/seal.ts';

export interface LogoutTickets {
  /** Gives a ticket for the ID token. Throws StoreUnavailable. */
  issue(idToken: string): Promise<string>;
  /** The ID token, once; undefined for a ticket that is unknown, spent or a minute old. Throws StoreUnavailable. */
  take(ticket: string): Promise<string | undefined>;
}

const lifetimeSeconds = 60;

/** A ticket is good for a minute, and once. */
export function createLogoutTickets(options: {
  store: Pick<Store, 'putLogoutTicket' | 'takeLogoutTicket'>;
  box: TicketBox;
  /** At least 32 random bytes, safe in a URL. */
  randomId: () => string;
}): LogoutTickets {
  const { store, box, randomId } = options;
  return {
    async issue(idToken) {
      const ticket = randomId();
      await store.putLogoutTicket(keyOf(ticket), box.seal(ticket, idToken), lifetimeSeconds);
      return ticket;
    },
    async take(ticket) {
      const sealed = await store.takeLogoutTicket(keyOf(ticket));
      return sealed === null ? undefined : (box.open(ticket, sealed) ?? undefined);
    },
  };
}

function keyOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('base64url');
}
