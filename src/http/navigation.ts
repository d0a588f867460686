// What counts as a top-level navigation: only those may start a login, and only those get pages instead of problem+json (W3C Fetch Metadata).
import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether a person is on the way to this address, not a script, an image or a prefetch.
 * `Sec-Fetch-Dest: empty` with mode `navigate` is a service worker that passes the navigation through.
 * Browsers without Fetch Metadata are known by what they accept.
 */
export function isNavigation(headers: IncomingHttpHeaders): boolean {
  if (headers['sec-purpose'] !== undefined) return false;
  const mode = headers['sec-fetch-mode'];
  const destination = headers['sec-fetch-dest'];
  if (mode === undefined && destination === undefined && headers['sec-fetch-site'] === undefined) {
    return headers.accept?.includes('text/html') ?? false;
  }
  return mode === 'navigate' && (destination === 'document' || destination === 'empty');
}
