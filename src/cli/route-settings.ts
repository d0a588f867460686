// What a route says beside where it leads, a line for each key: what the upstream gets, what comes back, and how long it may take. Defaults that nobody
// would ask about are left out; values of header fields are too, because some of them are passwords.
import { websocketLimitsOf } from '../config/route-schema.ts';
import type { RouteConfig } from '../config/schema.ts';
import { formatDuration, formatSize } from '../config/units.ts';

export type Line = [label: string, text: string];

/** What a caller must show beside a session. */
export function describeDemands({ require }: RouteConfig): Line[] {
  const demands = Object.entries(require).map(([claim, values]) => `${claim}: ${values.join(' or ')}`);
  return demands.length === 0 ? [] : [['require', `${demands.join(', and ')}; else 403 forbidden`]];
}

/** What happens to a call that passes. */
export function describeSettings(route: RouteConfig): Line[] {
  const { request, response, claims } = route.headers;
  const { connect, headers, idle } = route.timeout;
  return [
    ...line('tls', tlsParts(route)),
    ...line('request', [
      ...named('sets', Object.keys(request.set)),
      ...named(
        'tells',
        Object.entries(claims).map(([name, claim]) => `${name} (${claim})`),
      ),
      ...named('removes', request.remove),
      ...(request.allow === undefined ? [] : [`of the client’s fields passes only: ${request.allow.join(', ')}`]),
      ...named('passes the cookies', route.cookies.request),
    ]),
    ...line('response', [
      ...named('sets', Object.keys(response.set)),
      ...named('removes', response.remove),
      ...(response.allow === undefined ? [] : [`of the upstream’s fields passes only: ${response.allow.join(', ')}`]),
      ...named('passes the cookies', route.cookies.response),
      ...policyParts(route),
      ...(route.cache === 'upstream' ? ['caching is as the upstream says'] : []),
    ]),
    ...line('csrf', [
      ...(route.csrf.typedUrl ? ['typed addresses pass'] : []),
      ...(route.csrf.navigation ? ['navigations need no X-CSRF'] : []),
    ]),
    ...line('stepUp', stepUpParts(route)),
    ...line('websocket', websocketParts(route)),
    ...(route.activity || route.auth === 'none' ? [] : [['activity', 'calls do not keep the session alive'] as Line]),
    ...(route.limits.body === undefined
      ? []
      : [['body', `at most ${formatSize(route.limits.body)}, else 413 payload_too_large`] as Line]),
    [
      'timeout',
      `connect ${formatDuration(connect)}, head of the answer ${formatDuration(headers)}, between two pieces ${formatDuration(idle)}`,
    ],
  ];
}

function line(label: string, parts: readonly string[]): Line[] {
  return parts.length === 0 ? [] : [[label, parts.join('; ')]];
}

function named(what: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`${what} ${names.join(', ')}`];
}

function tlsParts({ tls }: RouteConfig): string[] {
  if (tls === undefined) return [];
  return [
    ...(tls.ca === undefined ? [] : [`authority ${tls.ca.file}`]),
    ...(tls.cert === undefined ? [] : [`client certificate ${tls.cert.file}`]),
    ...(tls.serverName === undefined ? [] : [`server name ${tls.serverName}`]),
  ];
}

function policyParts({ contentSecurityPolicy }: RouteConfig): string[] {
  if (contentSecurityPolicy === undefined) return [];
  return contentSecurityPolicy === 'upstream'
    ? ['Content-Security-Policy is the upstream’s, where it sends one']
    : [`Content-Security-Policy is ${contentSecurityPolicy}`];
}

function stepUpParts({ stepUp }: RouteConfig): string[] {
  if (stepUp === undefined) return [];
  return [...named('acr_values', stepUp.acrValues), ...(stepUp.maxAge ? ['max_age'] : [])];
}

function websocketParts({ websocket }: RouteConfig): string[] {
  const limits = websocketLimitsOf(websocket);
  if (limits === undefined) return [];
  return [
    `closed after ${formatDuration(limits.idleTimeout)} of silence`,
    ...(limits.maxAge === undefined ? [] : [`after ${formatDuration(limits.maxAge)} in any case`]),
  ];
}
