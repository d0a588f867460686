// Which sessions a user has, and which came from one session at the provider: what back-channel logout, the user's own list and operators find
// sessions by (OpenID Connect Back-Channel Logout 1.0 section 2.7). A user is (issuer, subject), never an e-mail address (OIDC Core 5.7).
import { createHash } from 'node:crypto';
import type { Store } from '../store/store.ts';
import type { SessionRecord } from './session.ts';

/** Who a session belongs to, as far as it is found by it. */
export type SessionOwner = Pick<SessionRecord, 'iss' | 'sub' | 'sid'>;

/** A session and its record. `unreadable`: the record is damaged; the session lives all the same, and can be ended. */
export interface FoundSession {
  h: string;
  record: SessionRecord | 'unreadable';
}

export interface SessionIndex {
  /** After the session record was written and before the token record is: whoever looks meanwhile finds the session and can end it. */
  add(h: string, owner: SessionOwner): Promise<void>;
  remove(h: string, owner: SessionOwner): Promise<void>;
  /** The record of one session; undefined when it has ended. */
  read(h: string): Promise<FoundSession['record'] | undefined>;
  /** All sessions of a user, the oldest login first; before them those whose record is damaged. */
  bySubject(iss: string, sub: string): Promise<FoundSession[]>;
  /** All sessions of one session at the provider. */
  bySid(iss: string, sid: string): Promise<FoundSession[]>;
}

/** Which of several configurations on one store; there is one. */
const app = 'default';

/** Everybody's questions to the store stand in one queue, so one user's thousand must not hold up the others. */
const mostReadAtOnce = 100;

/** Every operation throws StoreUnavailable. `absoluteSeconds` is the longest life of a session. */
export function createSessionIndex(options: {
  store: Pick<Store, 'indexAdd' | 'indexFind' | 'indexRemove' | 'readSession'>;
  absoluteSeconds: number;
}): SessionIndex {
  const { store } = options;

  async function read(h: string): Promise<FoundSession['record'] | undefined> {
    const json = await store.readSession(h);
    return json === null ? undefined : parseRecord(json);
  }

  // An id is never used again, so a member without a record can be dropped whatever happens meanwhile.
  async function find(key: string): Promise<FoundSession[]> {
    const members = await store.indexFind(key);
    const found: FoundSession[] = [];
    for (let at = 0; at < members.length; at += mostReadAtOnce) {
      const part = members.slice(at, at + mostReadAtOnce).map(async (h) => {
        const record = await read(h);
        if (record === undefined) await store.indexRemove(key, h);
        return record === undefined ? [] : [{ h, record }];
      });
      found.push(...(await Promise.all(part)).flat());
    }
    return found;
  }

  return {
    async add(h, owner) {
      await Promise.all(keysOf(owner).map((key) => store.indexAdd(key, h, options.absoluteSeconds * 1000)));
    },
    async remove(h, owner) {
      await Promise.all(keysOf(owner).map((key) => store.indexRemove(key, h)));
    },
    read,
    bySubject: async (iss, sub) => byLogin(await find(subjectKey(iss, sub))),
    bySid: (iss, sid) => find(sidKey(iss, sid)),
  };
}

const subjectKey = (iss: string, sub: string): string => `sub:${nameOf([app, iss, sub])}`;
const sidKey = (iss: string, sid: string): string => `sid:${nameOf([app, iss, sid])}`;

// The store keeps them in the order in which they must have ended by, and that is another one once the longest life of a session has been changed.
function byLogin(sessions: FoundSession[]): FoundSession[] {
  const createdAt = ({ record }: FoundSession): number => (record === 'unreadable' ? 0 : record.createdAt);
  return sessions.toSorted((one, other) => createdAt(one) - createdAt(other));
}

function keysOf({ iss, sub, sid }: SessionOwner): string[] {
  return [subjectKey(iss, sub), ...(sid === undefined ? [] : [sidKey(iss, sid)])];
}

/** A name in the store for what these parts identify together: SHA-256 of their JSON, so that no two lists give one text. */
export function nameOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}

function parseRecord(json: string): FoundSession['record'] {
  try {
    const value: unknown = JSON.parse(json);
    return isRecord(value) ? value : 'unreadable';
  } catch {
    return 'unreadable';
  }
}

// What sessions are found, chosen and listed by.
function isRecord(value: unknown): value is SessionRecord {
  const { iss, sub, device, createdAt, issuedAt } = Object(value) as Partial<Record<keyof SessionRecord, unknown>>;
  return (
    [iss, sub, device].every((member) => typeof member === 'string') &&
    [createdAt, issuedAt].every((member) => typeof member === 'number')
  );
}
