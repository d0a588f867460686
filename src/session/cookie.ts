// The session cookie: the one place that names, signs and parses it (RFC 10017 section 6.1.3.2, RFC 6265bis).
import { createHash } from 'node:crypto';
import { sign, unsign } from 'cookie-signature';

export type CookieReading = { kind: 'absent' } | { kind: 'invalid' } | { kind: 'valid'; sessionId: string; h: string };

export interface SessionCookie {
  /** The full name, prefix included. */
  readonly name: string;
  /** The attributes, in express-session's and Express's words. Deleting it needs the same ones. */
  readonly attributes: { path: '/'; httpOnly: true; secure: boolean; sameSite: 'strict' | 'lax'; maxAge?: number };
  /** Two cookies of our name are no session: nobody can say which one the browser was given first (cookie tossing). */
  read(cookieHeader: string | undefined): CookieReading;
  /** The cookie's value for a session id, as express-session signs it. */
  valueFor(sessionId: string): string;
  /** Whether a cookie belongs to Postern (session, login transactions, login counter): such cookies never go upstream, nor come from there. */
  isOwn(cookieName: string): boolean;
}

export interface SessionCookieOptions {
  publicUrl: string;
  baseName: string;
  sameSite: 'strict' | 'lax';
  /** Makes the cookie outlive the browser. */
  maxAgeMs: number | undefined;
  /** The signing secrets of this moment: the first signs, all verify. */
  secrets: () => readonly string[];
}

// 32 random bytes in base64url: anything else was not made by us.
const sessionIdPattern = /^[A-Za-z0-9_-]{43}$/;

export function createSessionCookie(options: SessionCookieOptions): SessionCookie {
  const { baseName, secrets } = options;
  const url = new URL(options.publicUrl);
  const secure = url.protocol === 'https:';
  // Cookies ignore ports: without the port in its name, two apps on one loopback host would share the cookie.
  const verify = createVerifier(secrets);
  const name = secure ? `__Host-Http-${baseName}` : `${baseName}-${url.port === '' ? '80' : url.port}`;

  return {
    name,
    attributes: {
      path: '/',
      httpOnly: true,
      secure,
      sameSite: options.sameSite,
      ...(options.maxAgeMs === undefined ? {} : { maxAge: options.maxAgeMs }),
    },
    read(cookieHeader) {
      const values = valuesOf(cookieHeader, name);
      if (values.length === 0) return { kind: 'absent' };
      const [value] = values;
      if (values.length > 1 || value === undefined) return { kind: 'invalid' };
      return verify(value) ?? { kind: 'invalid' };
    },
    valueFor(sessionId) {
      const [signing] = secrets();
      if (signing === undefined) throw new Error('A session cookie needs a signing secret');
      return encodeURIComponent(`s:${sign(sessionId, signing)}`);
    },
    isOwn: (cookieName) =>
      cookieName === name || cookieName.startsWith(`${name}-tx-`) || cookieName === `${name}-logins`,
  };
}

/** `h`, the name of a session in the store: a reader of the store cannot make a cookie from it. */
export function hashOf(sessionId: string): string {
  return createHash('sha256').update(sessionId).digest('base64url');
}

/** The raw values of every cookie of a name, in order. */
export function valuesOf(cookieHeader: string | undefined, name: string): string[] {
  const values: string[] = [];
  if (cookieHeader === undefined) return values;
  for (let start = 0; start < cookieHeader.length;) {
    const semicolon = cookieHeader.indexOf(';', start);
    const end = semicolon === -1 ? cookieHeader.length : semicolon;
    const equals = cookieHeader.indexOf('=', start);
    const hasValue = equals !== -1 && equals < end;
    // A lone word is a name and its own value.
    const nameEnd = hasValue ? equals : end;
    const valueStart = hasValue ? equals + 1 : start;
    if (cookieHeader.slice(start, nameEnd).trim() === name) values.push(cookieHeader.slice(valueStart, end).trim());
    start = end + 1;
  }
  return values;
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
    // One spelling only: a cookie could be percent-encoded in countless ways.
    if (value !== encodeURIComponent(decodeURIComponent(value))) return reading;
    const [oldest] = good.size < maxRemembered ? [] : good.keys();
    if (oldest !== undefined) good.delete(oldest);
    good.set(value, reading);
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
