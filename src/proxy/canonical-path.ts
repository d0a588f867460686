// One spelling for every path: what is matched against the routes is, byte for byte, what the upstream gets.
// A request target with a second reading is refused, never repaired (RFC 9112 section 3.2, RFC 10017 section 6.1.3.6).

export type CanonicalTarget =
  | {
      kind: 'canonical';
      /** Starts with one slash; never holds a dot segment, an empty segment or an escape that did not need to be one. */
      path: string;
      /** With its question mark; empty when there is none. */
      query: string;
      /** `%2F` is in the path: only routes whose upstream does not decode it may take this. */
      hasEncodedSlash: boolean;
    }
  | { kind: 'malformed' };

const malformed: CanonicalTarget = { kind: 'malformed' };

// RFC 3986 pchar without escapes, and [ ] ^ |, which browsers leave raw in a path. No segment of dots alone, with or without ;parameters.
const plainPath = /^(?:\/(?!\.+(?:[/;]|$))[A-Za-z0-9\-._~!$&'()*+,;=:@[\]^|]+)*\/?$/;
const escapedPath = /^(?:\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@[\]^|]|%[0-9A-Fa-f]{2})+)*\/?$/;
const plainQuery = /^\?[\x21\x22\x24-\x7e]*$/;

// Unreserved characters need no escape: %61dmin and admin would be two spellings of one path (RFC 3986 section 2.3).
const needlessEscape = /%(?:2[DEde]|3\d|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])/;
const controlEscape = /%(?:[01][0-9A-Fa-f]|7[Ff]|[Cc]2%[89][0-9A-Fa-f])/;
const backslashEscape = /%5[Cc]/;
// An upstream that decodes twice would find . / \ ; % or a control character behind these.
const doubleEscape = /%25(?:[01][0-9A-Fa-f]|25|2[EeFf]|3[Bb]|5[Cc]|7[Ff])/;
// A segment of dots, also between encoded slashes, before encoded parameters, or with the spaces that some file systems drop.
const dotSegment = /(?:\/|%2F)(?:%20)*\.(?:\.|%20)*(?:\/|%2F|;|%3B|$)/i;
const slashEscape = /%2F/i;

/**
 * Takes a request target (RFC 9112 section 3.2) apart, or refuses it.
 * Only the origin-form passes; refused are dot segments and empty segments, backslashes, control characters and fragments in any spelling, broken or needless
 * percent-escapes, and escapes that are not UTF-8.
 */
export function canonicalPath(target: string): CanonicalTarget {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? '' : target.slice(mark);
  if (path === '' || (query !== '' && !plainQuery.test(query))) return malformed;
  if (plainPath.test(path)) return { kind: 'canonical', path, query, hasEncodedSlash: false };
  if (!isSoundlyEscaped(path)) return malformed;
  return { kind: 'canonical', path, query, hasEncodedSlash: slashEscape.test(path) };
}

function isSoundlyEscaped(path: string): boolean {
  return (
    escapedPath.test(path) &&
    !needlessEscape.test(path) &&
    !controlEscape.test(path) &&
    !backslashEscape.test(path) &&
    !doubleEscape.test(path) &&
    !dotSegment.test(path) &&
    isUtf8(path)
  );
}

function isUtf8(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
