// The header fields a browser sees of an upstream's answer. The answer runs in our origin, so the upstream may not set our cookies, open our origin to
// others, speak for our connection or let a shared cache keep what belongs to one user (RFC 9110 section 7.6.1, RFC 9111 section 3.5, RFC 9213).
import type { HeaderList } from '../http/security-headers.ts';

/** Makes the answer's headers, as name, value, name, value …, from the upstream's `rawHeaders`. Pure. */
export type BuildResponseHeaders = (rawHeaders: readonly string[]) => string[];

export interface ResponseHeadersOptions {
  /** Sent with every answer, in place of the upstream's own fields of these names. */
  securityHeaders: HeaderList;
  passesCookie: (name: string) => boolean;
  /** private: only the browser may keep the answer, and only when the upstream says so. upstream: as it comes. */
  cache: 'private' | 'upstream';
  /** Whether the answer depends on the session: then a cache must not give it to another. */
  variesByCookie: boolean;
}

const dropped = new Set([
  // Hop-by-hop.
  ...['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  // Who is behind us, and a password prompt that would not be ours.
  ...['server', 'x-powered-by', 'www-authenticate'],
  // Power over our whole origin.
  ...['clear-site-data', 'refresh', 'service-worker-allowed', 'strict-transport-security', 'alt-svc'],
  ...[
    'public-key-pins',
    'public-key-pins-report-only',
    'timing-allow-origin',
    'nel',
    'report-to',
    'reporting-endpoints',
  ],
  // Orders to a web server in front of us.
  ...['x-accel-redirect', 'x-accel-expires', 'x-sendfile'],
  // Ours.
  ...['postern-session', 'set-cookie2'],
]);

// Orders to shared caches that outrank Cache-Control (RFC 9213).
const sharedCacheControl = /^surrogate-control$|cdn-cache-control$/;

/** Prepares the builder for one route. */
export function createResponseHeaders(options: ResponseHeadersOptions): BuildResponseHeaders {
  const { passesCookie, cache, variesByCookie } = options;
  const constants = Object.entries(options.securityHeaders).flat();
  const replaced = new Set(Object.keys(options.securityHeaders).map((name) => name.toLowerCase()));
  const isPrivate = cache === 'private';

  return function build(rawHeaders) {
    const named = namedByConnection(rawHeaders);
    const built: string[] = [];
    let setsCookie = false;
    let cacheControl = '';
    let vary = '';
    for (let at = 0; at < rawHeaders.length; at += 2) {
      const name = rawHeaders[at] ?? '';
      const value = rawHeaders[at + 1] ?? '';
      const lower = name.toLowerCase();
      if (dropped.has(lower) || replaced.has(lower) || named?.has(lower) === true) continue;
      if (lower.startsWith('access-control-') || lower.startsWith('proxy-')) continue;
      if (lower === 'set-cookie') {
        if (!passesCookie(cookieName(value))) continue;
        setsCookie = true;
        built.push(name, withoutDomain(value));
      } else if (lower === 'cache-control') {
        cacheControl = join(cacheControl, value);
      } else if (lower === 'vary') {
        vary = join(vary, value);
      } else if (!(isPrivate && sharedCacheControl.test(lower))) {
        built.push(name, value);
      }
    }

    if (isPrivate && setsCookie) cacheControl = 'no-store';
    else if (isPrivate && variesByCookie) cacheControl = keptPrivate(cacheControl);
    if (cacheControl !== '') built.push('cache-control', cacheControl);
    if (variesByCookie || setsCookie) vary = varyingByCookie(vary);
    if (vary !== '') built.push('vary', vary);
    for (const part of constants) built.push(part);
    return built;
  };
}

// The two tokens that name no field need no set.
function namedByConnection(rawHeaders: readonly string[]): Set<string> | undefined {
  let named: Set<string> | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== 'connection') continue;
    const value = rawHeaders[at + 1]?.toLowerCase() ?? '';
    if (value === 'keep-alive' || value === 'close') continue;
    named ??= new Set();
    for (const token of value.split(/[\s,]+/)) named.add(token);
  }
  // A body's length is no hop's private matter: without it an answer cut short would look whole.
  named?.delete('content-length');
  return named;
}

function join(first: string, second: string): string {
  return first === '' ? second : `${first}, ${second}`;
}

/** Cache-Control as far as a private cache may use it; silence means that nothing is kept. */
function keptPrivate(cacheControl: string): string {
  const directives = cacheControl.match(/[^\s,=]+(?:=(?:"[^"]*"|[^\s,"]*))?/g);
  if (directives === null) return 'no-store';
  // `private="field"` makes private that field alone.
  const kept = directives.filter((directive) => !/^(?:public|private|s-maxage)(?:=|$)/i.test(directive));
  const isStored = !kept.some((directive) => directive.toLowerCase() === 'no-store');
  return (isStored ? ['private', ...kept] : kept).join(', ');
}

function varyingByCookie(vary: string): string {
  return /(?:^|[\s,])(?:cookie|\*)(?:[\s,]|$)/i.test(vary) ? vary : join(vary, 'Cookie');
}

function cookieName(setCookie: string): string {
  const pair = setCookie.split(';', 1)[0] ?? '';
  const equals = pair.indexOf('=');
  // A cookie without a name can be read as one with a name by a server behind the browser: `=name=value`.
  return equals === -1 ? '' : pair.slice(0, equals).trim();
}

function withoutDomain(setCookie: string): string {
  return setCookie
    .split(';')
    .filter((attribute, index) => index === 0 || !/^\s*domain\s*(?:=|$)/i.test(attribute))
    .join(';');
}
