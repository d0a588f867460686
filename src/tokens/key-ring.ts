// The server keys. Each purpose has keys of its own, derived by HKDF (RFC 5869), so that a value sealed or signed for one is worthless for another.
// Several keys are a ring, so that a key can be replaced while sessions live: all of them open, and which one signs and seals is decided here alone.
import { createHash, createSecretKey, hkdfSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { settlingSeconds } from '../config/key-rules.ts';

/** What a derived key is for. */
export type KeyPurpose = 'cookie' | 'transaction' | 'seal' | 'ticket';

export interface RingKey {
  /** Names the key beside what it sealed; tells nothing about it. */
  readonly id: string;
  /** A 32-byte key. `salt` ties it to one thing: a session id, a ticket. */
  derive(purpose: KeyPurpose, salt: string): KeyObject;
}

export interface KeyRing {
  /** The key that signs and seals now. Time and `replace` change it: ask at each use. */
  signing(): RingKey;
  byId(id: string): RingKey | undefined;
  /** Secrets for cookies: the signing key's first, all of them verify. The same array until one of them changes. */
  cookieSecrets(): readonly string[];
  /** Takes over a changed list. A key that is not in it opens nothing from now on. */
  replace(keys: readonly string[]): void;
}

interface Member {
  key: RingKey;
  /** On the clock of `now`. */
  seenAt: number;
}

/**
 * A ring. A new key signs only when this process has known it for ten minutes beside an older one:
 * replicas learn of it at different moments, and until then the others could not open what it has sealed.
 *
 * @param options.keys base64, newest first, checked by the configuration; at least one
 * @param options.now in ms, never going backwards
 */
export function createKeyRing({ keys, now }: { keys: readonly string[]; now: () => number }): KeyRing {
  // What stands behind the first key at the start was in use before this process was.
  let members = keys.map((base64, index) => ({ key: createRingKey(base64), seenAt: index === 0 ? now() : -Infinity }));
  let secrets: { signing: RingKey; list: readonly string[] } | undefined;

  function signing(): RingKey {
    const hasSettled = ({ seenAt }: Member): boolean => now() - seenAt >= settlingSeconds * 1000;
    const member = members.find(hasSettled) ?? members.at(-1);
    if (member === undefined) throw new Error('A key ring needs a key');
    return member.key;
  }

  return {
    signing,
    byId: (id) => members.find(({ key }) => key.id === id)?.key,

    cookieSecrets() {
      const first = signing();
      if (secrets?.signing !== first) {
        const others = members.map(({ key }) => key).filter((key) => key !== first);
        secrets = { signing: first, list: [first, ...others].map(cookieSecret) };
      }
      return secrets.list;
    },

    replace(changed) {
      const known = new Map(members.map((member) => [member.key.id, member]));
      members = changed.map(createRingKey).map((key) => known.get(key.id) ?? { key, seenAt: now() });
      secrets = undefined;
    },
  };
}

const maxRemembered = 10_000;

function createRingKey(base64: string): RingKey {
  const bytes = Buffer.from(base64, 'base64');
  // Key objects, because node:crypto examines a bare Buffer anew, and slowly, at every use.
  const key = createSecretKey(bytes);
  const derive = (purpose: KeyPurpose, salt: string): KeyObject =>
    createSecretKey(Buffer.from(hkdfSync('sha256', key, salt, `postern ${purpose}`, 32)));
  // Deriving is as dear as opening a record, and a session's key is needed at each of its calls. They are made of what this process holds
  // anyway, this key and the ids in the verified cookies, so that nobody gains who could read them here; and they go with this key.
  const remembered = new LRUCache<string, KeyObject>({ max: maxRemembered, memoMethod: (id) => derive('seal', id) });
  return {
    id: createHash('sha256').update('postern key id').update(bytes).digest('base64url').slice(0, 8),
    derive: (purpose, salt) => (purpose === 'seal' ? remembered.memo(salt) : derive(purpose, salt)),
  };
}

function cookieSecret(key: RingKey): string {
  return key.derive('cookie', '').export().toString('base64url');
}
