// What a route does with the user's claims: asks for values before anything is sent, and tells the upstream some of them in header fields.
// Everything that depends on the configuration alone is worked out beforehand.
import type { RouteConfig } from '../config/schema.ts';
import type { Claims } from '../oidc/token-set.ts';

/** Whether somebody with these claims may use a route. Pure. */
export type ClaimRule = (claims: Claims) => boolean;

/** The header fields that carry claims, names in lower case; a claim that is not there has none. Pure. */
export type ClaimHeaders = (claims: Claims) => readonly (readonly [name: string, value: string])[];

/** The header fields that carry a claim on some route: they come from no client anywhere, because upstreams are shared. */
export function claimFieldsOf(routes: readonly { config: Pick<RouteConfig, 'headers'> }[]): readonly string[] {
  return routes.flatMap(({ config }) => Object.keys(config.headers.claims));
}

/** Every claim named in `require` must hold one of the values listed for it; undefined when none is named. */
export function createClaimRule(require: RouteConfig['require']): ClaimRule | undefined {
  const demands = Object.entries(require).map(([path, values]) => ({ path, values: new Set(values.map(String)) }));
  if (demands.length === 0) return undefined;
  return (claims) =>
    demands.every(({ path, values }) => wordsOf(claimAt(claims, path)).some((word) => values.has(word)));
}

/**
 * Prepares the fields of `headers.claims`; undefined when there are none.
 * What is made of one set of claims is kept as long as they are: a session in the near cache is not read anew for each call.
 */
export function createClaimHeaders(fields: RouteConfig['headers']['claims']): ClaimHeaders | undefined {
  const sources = Object.entries(fields).map(([name, path]) => ({ name: name.toLowerCase(), path }));
  if (sources.length === 0) return undefined;
  const made = new WeakMap<Claims, ReturnType<ClaimHeaders>>();
  return (claims) => {
    const known = made.get(claims);
    if (known !== undefined) return known;
    const headers = sources.flatMap(({ name, path }) => {
      const value = fieldValue(claimAt(claims, path));
      return value === '' ? [] : [[name, value] as const];
    });
    made.set(claims, headers);
    return headers;
  };
}

/**
 * The claim of this name, or what lies within claims at this path: `realm_access.roles`.
 * Names may hold dots themselves (`https://example.com/roles`), so at each level the whole rest is tried as a name first.
 */
export function claimAt(claims: unknown, path: string): unknown {
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return undefined;
  const section = claims as Record<string, unknown>;
  if (Object.hasOwn(section, path)) return section[path];
  for (let dot = path.indexOf('.'); dot !== -1; dot = path.indexOf('.', dot + 1)) {
    const name = path.slice(0, dot);
    const found = Object.hasOwn(section, name) ? claimAt(section[name], path.slice(dot + 1)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Texts, numbers, true and false, alone or in a list; nothing else has a spelling that everybody agrees on. */
function wordsOf(claim: unknown): string[] {
  const items: unknown[] = Array.isArray(claim) ? claim : [claim];
  return items.filter((item) => ['string', 'number', 'boolean'].includes(typeof item)).map(String);
}

function fieldValue(claim: unknown): string {
  const words = wordsOf(claim).map(percentEncoded);
  return Array.isArray(claim) ? words.map((word) => word.replaceAll(',', '%2C')).join(',') : words.join();
}

// A field value is one line of ASCII without spaces around it (RFC 9110 section 5.5). What is not is percent-encoded, and so is the percent sign:
// decoding gives back exactly what the provider said, no control character splits the head, and no two users become one.
function percentEncoded(text: string): string {
  return text.toWellFormed().replace(/^ | $|[^\x20-\x24\x26-\x7e]+/g, encodeURIComponent);
}
