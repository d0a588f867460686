// A session cookie as express-session signs it, for tests that make a session without a login.
import { sign } from 'cookie-signature';

/** The cookie's value for a session id. */
export function signedValue(sessionId: string, secret: string): string {
  return encodeURIComponent(`s:${sign(sessionId, secret)}`);
}
