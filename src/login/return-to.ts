// Where a login may end: on a path of our own origin and nowhere else (RFC 9700 section 4.11.1).
// What is checked is the value that will be emitted, as browsers will read it, not the value that came in.

const longest = 1024;

// Browsers strip or trim these before they parse a URL, so a check that lets them pass checks something else than what is followed.
const invisible = /[\s\p{Cc}\p{Cf}\p{Cn}\p{Cs}]/u;

/**
 * The path, query and fragment to send the browser to after a login, normalised by the WHATWG URL rules.
 * Anything that is not a plain path of the application gives `/`: a bad link must not keep people from logging in.
 *
 * @param origin our own, from `publicUrl`
 * @param isReserved whether a path belongs to Postern's own endpoints or to an API: a login must not end there
 */
export function safeReturnTo(value: unknown, origin: string, isReserved: (path: string) => boolean): string {
  if (typeof value !== 'string' || !value.startsWith('/') || value.length > longest) return '/';
  if (value.includes('\\') || invisible.test(value)) return '/';
  if (!URL.canParse(value, origin)) return '/';
  const url = new URL(value, origin);
  if (url.origin !== origin) return '/';
  const decoded = decode(url.pathname);
  if (decoded === undefined || looksLikeHost(decoded) || isReserved(url.pathname) || isReserved(decoded)) return '/';
  const emitted = url.pathname + url.search + url.hash;
  return emitted.length > longest ? '/' : emitted;
}

function decode(pathname: string): string | undefined {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return undefined;
  }
}

// Servers and proxies on the way may decode once more, fold look-alike characters or drop what is invisible: even then no `//host` may come out.
function looksLikeHost(decodedPath: string): boolean {
  const folded = decodedPath.normalize('NFKC').replace(new RegExp(invisible, 'gu'), '');
  return folded.includes('//') || folded.includes('\\') || /\p{Cc}/u.test(decodedPath);
}
