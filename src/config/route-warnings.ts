// What routes may do and still should not: send a token in the clear, and lead around each other's checks.
import { isClusterInternal, isLoopback } from './network.ts';
import { isUnder } from './path-prefix.ts';
import type { Finding } from './rule.ts';
import type { Config, RouteConfig } from './schema.ts';
import { reachOf, serverOf, socketOf } from './upstream-address.ts';

type Routes = Pick<Config, 'routes'>;

export function routeWarnings({ routes }: Routes): Finding[] {
  return routes.flatMap((route, index) => [
    ...unencryptedToken(route, ['routes', index, 'upstream']),
    ...strictUnderLoose(route, routes, ['routes', index, 'path']),
  ]);
}

function unencryptedToken(route: RouteConfig, path: Finding['path']): Finding[] {
  if (!carriesToken(route) || socketOf(route.upstream) !== undefined) return [];
  const upstream = new URL(route.upstream);
  if (upstream.protocol === 'https:' || isLoopback(upstream) || isClusterInternal(upstream)) return [];
  return [{ path, message: `the token travels unencrypted to ${upstream.host}; use https` }];
}

function carriesToken({ auth, token }: RouteConfig): boolean {
  return auth !== 'none' && token !== 'none';
}

function strictUnderLoose(strict: RouteConfig, routes: readonly RouteConfig[], path: Finding['path']): Finding[] {
  const around = routes.filter(
    (route) => serverOf(route.upstream) === serverOf(strict.upstream) && isUnder(reach(strict), reach(route)),
  );
  const detour = around.find((route) => isLooser(route, strict) && leadsTo(route, strict, routes));
  if (detour !== undefined) {
    const message =
      `"${strict.path}" (${demandsOf(strict)}) can be reached through "${detour.path}" (${demandsOf(detour)}), which sends the same paths to ` +
      'the same upstream; let both ask for the same, or let rewrite keep them apart';
    return [{ path, message }];
  }
  const loose = around.find(
    (route) => isUnder(strict.path, route.path) && strictness[route.auth] < strictness[strict.auth],
  );
  if (loose === undefined) return [];
  const message =
    `"${strict.path}" (auth: ${strict.auth}) lies under "${loose.path}" (auth: ${loose.auth}) on the same upstream: where that upstream ` +
    `reads paths more loosely than Postern (case, ;parameters, doubled slashes), a request let through as "${loose.path}" can reach "${strict.path}"; ` +
    'let the upstream check the token there, or give the two parts different upstreams';
  return [{ path, message }];
}

const strictness = { none: 0, optional: 1, required: 2 } as const;

function isLooser(route: RouteConfig, strict: RouteConfig): boolean {
  if (strictness[route.auth] !== strictness[strict.auth]) return strictness[route.auth] < strictness[strict.auth];
  return Object.keys(strict.require).some((claim) => !Object.hasOwn(route.require, claim));
}

/** Whether the paths of `strict` at the upstream are those of `detour` too, and no longer route path takes them from it. */
function leadsTo(detour: RouteConfig, strict: RouteConfig, routes: readonly RouteConfig[]): boolean {
  const rest = reachOf(strict).slice(reachOf(detour).length);
  const asked = detour.path === '/' && rest !== '' ? rest : detour.path + rest;
  return !routes.some((other) => other.path.length > detour.path.length && isUnder(asked, other.path));
}

function reach(route: RouteConfig): string {
  return reachOf(route) === '' ? '/' : reachOf(route);
}

function demandsOf({ auth, require }: RouteConfig): string {
  const claims = Object.keys(require);
  return claims.length === 0 ? `auth: ${auth}` : `auth: ${auth}, require: ${claims.join(', ')}`;
}
