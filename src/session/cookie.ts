// The session cookie: the one place that names it and verifies it; express-session signs it (RFC 10017 section 6.1.3.2, RFC 6265bis).
import { createHash } from 'node:crypto';
import { unsign } from 'cookie-signature';
import { valuesOf } from './cookie-header.ts';

export type CookieReading = { kind: 'absent' } | { kind: 'invalid' } | { kind: 'valid'; sessionId: string; h: string };

export interface SessionCookie {
  /** The full name, prefix included. */
  readonly name: string;
  /** The attributes, in express-session's and Express's words. Deleting it needs the same ones. */
  readonly attributes: { path: '/'; httpOnly: true; secure: boolean; sameSite: 'strict' | 'lax'; maxAge?: number };
  /** Two cookies of our name are no session: nobody can say which one the browser was given first (cookie tossing). */
  read(cookieHeader: string | undefined): CookieReading;
  /** Whether a cookie belongs to Postern (session, login transactions, login counter): such cookies never go upstream, nor come from there. */
  isOwn(cookieName: string): boolean;
}

export interface SessionCookieOptions {
  publicUrl: string;
  baseName: string;
  sameSite: 'strict' | 'lax';
  /** How long it lives from now on, so that it outlives the browser; undefined: it does not. */
  maxAgeMs: () => number | undefined;
  /** The signing secrets of this moment: the first signs, all verify. */
  secrets: () => readonly string[];
}

// 32 random bytes in base64url: anything else was not made by us.
const sessionIdPattern = /^[A-Za-z0-9_-]{43}$/;

/** Over https the name begins with `__Host-Http-`; on plain http it ends in the port. */
export function createSessionCookie(options: SessionCookieOptions): SessionCookie {
  const { baseName, secrets } = options;
  const url = new URL(options.publicUrl);
  const secure = url.protocol === 'https:';
  const verify = createVerifier(secrets);
  // Cookies ignore ports: without the port in its name, two apps on one loopback host would share the cookie.
  const name = secure ? `__Host-Http-${baseName}` : `${baseName}-${url.port === '' ? '80' : url.port}`;

  return {
    name,
    get attributes() {
      const maxAge = options.maxAgeMs();
      const { sameSite } = options;
      return { path: '/', httpOnly: true, secure, sameSite, ...(maxAge !== undefined && { maxAge }) } as const;
    },
    read(cookieHeader) {
      const values = valuesOf(cookieHeader, name);
      if (values.length === 0) return { kind: 'absent' };
      const [value] = values;
      if (values.length > 1 || value === undefined) return { kind: 'invalid' };
      return verify(value) ?? { kind: 'invalid' };
    },
    isOwn: (cookieName) =>
      cookieName === name || cookieName.startsWith(`${name}-tx-`) || cookieName === `${name}-logins`,
  };
}

/** `h`, the name of a session in the store: a reader of the store cannot make a cookie from it. */
export function hashOf(sessionId: string): string {
  return createHash('sha256').update(sessionId).digest('base64url');
}

type ValidReading = Extract<CookieReading, { kind: 'valid' }>;

const maxRemembered = 10_000;

// Verifying is dear beside all else that a call costs, and a value that was good stays good until the secrets change. Only good values are remembered,
// so that strangers fill nothing. `secrets` gives the same array until one of them changes.
function createVerifier(secrets: () => readonly string[]): (value: string) => ValidReading | undefined {
  const good = new Map<string, ValidReading>();
  let goodUnder: readonly string[] = [];
  return (value) => {
    const current = secrets();
    if (current !== goodUnder) {
      good.clear();
      goodUnder = current;
    }
    const remembered = good.get(value);
    if (remembered !== undefined) return remembered;
    const sessionId = sessionIdIn(value, current);
    if (sessionId === undefined) return undefined;
    const reading: ValidReading = { kind: 'valid', sessionId, h: hashOf(sessionId) };
    // One spelling only: a cookie could be percent-encoded in countless ways. And not `value` itself, a piece of the header that would hold all of it.
    const spelling = encodeURIComponent(decodeURIComponent(value));
    if (value !== spelling) return reading;
    const [oldest] = good.size < maxRemembered ? [] : good.keys();
    if (oldest !== undefined) good.delete(oldest);
    good.set(spelling, reading);
    return reading;
  };
}

// express-session's format: `s:<id>.<hmac>`, percent-encoded.
function sessionIdIn(value: string, secrets: readonly string[]): string | undefined {
  if (value.length > 256) return undefined;
  let decoded: string;
  try {
    decoded = decodeURIComponent(value.replace(/^"(.*)"$/, '$1'));
  } catch {
    return undefined;
  }
  if (!decoded.startsWith('s:')) return undefined;
  for (const secret of secrets) {
    const sessionId = unsign(decoded.slice(2), secret);
    if (sessionId !== false) return sessionIdPattern.test(sessionId) ? sessionId : undefined;
  }
  return undefined;
}
