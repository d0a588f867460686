// Which claims leave the sealed token set: `sub` and those that the configuration names, for the app and for the session record.
import type { Claims } from '../oidc/token-set.ts';

export interface ShownClaims {
  sub: string;
  [claim: string]: unknown;
}

/** Picks the named claims that are there. */
export function shownClaims(claims: Claims, names: readonly string[]): ShownClaims {
  const shown = names.filter((name) => Object.hasOwn(claims, name)).map((name) => [name, claims[name]] as const);
  return { ...Object.fromEntries(shown), sub: claims.sub };
}
