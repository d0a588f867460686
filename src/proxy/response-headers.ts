// The header fields a browser sees of an upstream's answer. The answer runs in our origin, so the upstream may not set our cookies, open our origin to
// others, speak for our connection or let a shared cache keep what belongs to one user (RFC 9110 section 7.6.1, RFC 9111 section 3.5, RFC 9213).
import { bodyNames, neverFromUpstreams, responseConnectionNames } from '../config/header-names.ts';
import type { RouteConfig } from '../config/schema.ts';
import type { HeaderList } from '../http/security-headers.ts';
import { withoutBlanks } from '../session/cookie-header.ts';

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
  /** What the route says of header fields; nothing for what is no route. */
  headers?: RouteConfig['headers']['response'] | undefined;
  /** A policy in place of the one among `securityHeaders`, or `upstream` for the upstream's own where it sends one. */
  contentSecurityPolicy?: string | undefined;
}

// Orders to shared caches that outrank Cache-Control (RFC 9213).
const sharedCacheControl = /^surrogate-control$|cdn-cache-control$/;

/** Prepares the builder for one route. */
export function createResponseHeaders(options: ResponseHeadersOptions): BuildResponseHeaders {
  const { passesCookie, cache, variesByCookie } = options;
  const { constants, ownPolicy } = createConstants(options);
  const { fields, cacheControl: setCacheControl = '', vary: setVary = '' } = splitSet(options.headers?.set ?? {});
  const passes = createNameFilter(options, constants);
  const isPrivate = cache === 'private';

  return function build(rawHeaders) {
    const named = namedByConnection(rawHeaders);
    const built: string[] = [];
    let setsCookie = false;
    let cacheControl = setCacheControl;
    let vary = setVary;
    for (let at = 0; at < rawHeaders.length; at += 2) {
      const name = rawHeaders[at] ?? '';
      const value = rawHeaders[at + 1] ?? '';
      const lower = name.toLowerCase();
      if (!passes(lower) || named?.has(lower) === true) continue;
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

    if (ownPolicy !== undefined && !built.some((part, at) => at % 2 === 0 && part.toLowerCase() === policyName)) {
      built.push(policyName, ownPolicy);
    }
    if (isPrivate && setsCookie) cacheControl = 'no-store';
    else if (isPrivate && variesByCookie) cacheControl = keptPrivate(cacheControl);
    if (cacheControl !== '') built.push('cache-control', cacheControl);
    if (variesByCookie || setsCookie) vary = varyingByCookie(vary);
    if (vary !== '') built.push('vary', vary);
    for (const part of fields) built.push(part);
    for (const part of constants) built.push(part);
    return built;
  };
}

const policyName = 'content-security-policy';

/** What every answer ends with, as name, value, name, value …; `ownPolicy` only where the upstream sends none. */
function createConstants({ securityHeaders, contentSecurityPolicy }: ResponseHeadersOptions): {
  constants: string[];
  ownPolicy: string | undefined;
} {
  if (contentSecurityPolicy === undefined) {
    return { constants: Object.entries(securityHeaders).flat(), ownPolicy: undefined };
  }
  const { [policyName]: ownPolicy, ...others } = securityHeaders;
  if (contentSecurityPolicy === 'upstream') return { constants: Object.entries(others).flat(), ownPolicy };
  return { constants: [...Object.entries(others).flat(), policyName, contentSecurityPolicy], ownPolicy: undefined };
}

/** The fields that a route sets; two of them go through the rules for caching as if the upstream had sent them. */
function splitSet(set: Readonly<Record<string, string>>) {
  const byName = new Map(Object.entries(set).map(([name, value]) => [name.toLowerCase(), value]));
  const [cacheControl, vary] = [byName.get('cache-control'), byName.get('vary')];
  byName.delete('cache-control');
  byName.delete('vary');
  return { fields: [...byName].flat(), cacheControl, vary };
}

/** Which of the upstream's fields pass, by name alone; the rules for cookies and caching come after it. */
function createNameFilter(
  { headers }: ResponseHeadersOptions,
  constants: readonly string[],
): (name: string) => boolean {
  const { set = {}, remove = [], allow } = headers ?? {};
  const replaced = constants.filter((_part, at) => at % 2 === 0);
  const dropped = new Set([
    ...neverFromUpstreams,
    ...responseConnectionNames,
    ...[...replaced, ...Object.keys(set), ...remove].map((name) => name.toLowerCase()),
  ]);
  const allowed =
    allow === undefined
      ? undefined
      : new Set([...bodyNames, ...withRulesOfTheirOwn, ...allow.map((name) => name.toLowerCase())]);
  return (name) =>
    !dropped.has(name) &&
    (allowed === undefined || allowed.has(name)) &&
    !name.startsWith('access-control-') &&
    !name.startsWith('proxy-');
}

const withRulesOfTheirOwn = ['set-cookie', 'cache-control', 'vary', policyName];

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
  return equals === -1 ? '' : withoutBlanks(pair.slice(0, equals));
}

function withoutDomain(setCookie: string): string {
  return setCookie
    .split(';')
    .filter((attribute, index) => index === 0 || !/^\s*domain\s*(?:=|$)/i.test(attribute))
    .join(';');
}
