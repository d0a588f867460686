// Authenticated encryption of everything that leaves this process: AES-256-GCM under keys of the ring (NIST SP 800-38D).
// A sealed value is `1.<key id>.<iv, ciphertext and tag in base64url>`; format and key id are authenticated with it.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Tokens } from '../oidc/token-set.ts';
import type { KeyPurpose, KeyRing } from './key-ring.ts';

const format = '1';
const ivBytes = 12;
const tagBytes = 16;

/** Where a value belongs: it opens nowhere else. */
interface Place {
  purpose: KeyPurpose;
  /** Enters the key: without it, nothing opens. */
  salt: string;
  /** Authenticated, not secret. */
  context: string;
}

/** Seals small values that only this purpose may open. `open` gives null for anything tampered, foreign or sealed under a key that is gone. */
export interface Box {
  seal(plaintext: string, context: string): string;
  open(sealed: string, context: string): string | null;
}

/** Seals under a ticket that only its holder knows: the store keeps the value, the browser the ticket. */
export interface TicketBox {
  seal(ticket: string, plaintext: string): string;
  open(ticket: string, sealed: string): string | null;
}

/** Seals a session's tokens under its id, which only the cookie holds: a stolen store and a stolen server key together open nothing. */
export interface TokenSeal {
  seal(owner: { sessionId: string; h: string }, revision: number, tokens: Tokens): string;
  open(owner: { sessionId: string; h: string }, revision: number, sealed: string): Tokens | null;
}

/** For what the browser keeps. */
export function createBox(ring: KeyRing, purpose: 'transaction'): Box {
  return {
    seal: (plaintext, context) => seal(ring, { purpose, salt: '', context }, plaintext),
    open: (sealed, context) => open(ring, { purpose, salt: '', context }, sealed),
  };
}

/** For what a ticket opens. */
export function createTicketBox(ring: KeyRing): TicketBox {
  return {
    seal: (ticket, plaintext) => seal(ring, { purpose: 'ticket', salt: ticket, context: '' }, plaintext),
    open: (ticket, sealed) => open(ring, { purpose: 'ticket', salt: ticket, context: '' }, sealed),
  };
}

/** For sessions' tokens. */
export function createTokenSeal(ring: KeyRing): TokenSeal {
  // The record's key, its field and its revision are authenticated: a value moved to another session, or put back from an earlier revision, does not open.
  const place = ({ sessionId, h }: { sessionId: string; h: string }, revision: number): Place => ({
    purpose: 'seal',
    salt: sessionId,
    context: `${h} main ${revision}`,
  });
  return {
    seal: (owner, revision, { accessToken, refreshToken, idToken, claims, scope }) =>
      seal(ring, place(owner, revision), JSON.stringify({ accessToken, refreshToken, idToken, claims, scope })),
    open(owner, revision, sealed) {
      const plaintext = open(ring, place(owner, revision), sealed);
      return plaintext === null ? null : (JSON.parse(plaintext) as Tokens);
    },
  };
}

function seal(ring: KeyRing, { purpose, salt, context }: Place, plaintext: string): string {
  const key = ring.signing();
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv('aes-256-gcm', key.derive(purpose, salt), iv);
  cipher.setAAD(authenticated(key.id, context));
  const sealed = Buffer.concat([iv, cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${format}.${key.id}.${sealed.toString('base64url')}`;
}

function open(ring: KeyRing, { purpose, salt, context }: Place, value: string): string | null {
  const [valueFormat, keyId = '', payload = ''] = value.split('.');
  const key = ring.byId(keyId);
  const sealed = Buffer.from(payload, 'base64url');
  if (valueFormat !== format || key === undefined || sealed.length < ivBytes + tagBytes) return null;
  const decipher = createDecipheriv('aes-256-gcm', key.derive(purpose, salt), sealed.subarray(0, ivBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(authenticated(keyId, context));
  decipher.setAuthTag(sealed.subarray(-tagBytes));
  try {
    const plaintext = decipher.update(sealed.subarray(ivBytes, -tagBytes));
    // Nothing comes out of it in this mode: it compares the tag.
    decipher.final();
    return plaintext.toString('utf8');
  } catch {
    return null;
  }
}

function authenticated(keyId: string, context: string): Buffer {
  return Buffer.from(`${format}.${keyId} ${context}`);
}
