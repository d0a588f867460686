// The server keys. Each purpose has keys of its own, derived by HKDF (RFC 5869), so that a value sealed or signed for one is worthless for another.
import { createHash, hkdfSync } from 'node:crypto';

/** What a derived key is for. */
export type KeyPurpose = 'cookie' | 'transaction' | 'seal' | 'ticket';

export interface RingKey {
  /** Names the key beside what it sealed; tells nothing about it. */
  readonly id: string;
  /** A 32-byte key. `salt` ties it to one thing: a session id, a ticket. */
  derive(purpose: KeyPurpose, salt: string): Buffer;
}

/** Several keys are a ring: the first signs and seals, all of them verify and open, so that a key can be replaced while sessions live. */
export interface KeyRing {
  readonly first: RingKey;
  readonly all: readonly RingKey[];
  byId(id: string): RingKey | undefined;
}

/** @param keys base64, checked by the configuration; at least one */
export function createKeyRing(keys: readonly string[]): KeyRing {
  const all = keys.map(createRingKey);
  const [first] = all;
  if (first === undefined) throw new Error('A key ring needs a key');
  return { first, all, byId: (id) => all.find((key) => key.id === id) };
}

function createRingKey(base64: string): RingKey {
  const key = Buffer.from(base64, 'base64');
  return {
    id: createHash('sha256').update('postern key id').update(key).digest('base64url').slice(0, 8),
    derive: (purpose, salt) => Buffer.from(hkdfSync('sha256', key, salt, `postern ${purpose}`, 32)),
  };
}
