// What `headers` of a route may name: nothing that belongs to a connection, frames a body or is Postern's to say; and each field once.
import {
  isPlainName,
  neverFromClients,
  neverFromUpstreams,
  ownRequestNames,
  requestConnectionNames,
  responseConnectionNames,
} from './header-names.ts';
import type { Path } from './problem.ts';
import type { Finding } from './rule.ts';
import type { RouteConfig } from './schema.ts';
import type { Draft } from './shape.ts';

/** Why a field, named in lower case, may not stand in a list; undefined when it may. */
type Judge = (name: string) => string | undefined;

export function headerRules({ auth, headers }: Draft<RouteConfig>, index: number): Finding[] {
  const { request, response, claims } = headers ?? {};
  const at = (...rest: Path): Path => ['routes', index, 'headers', ...rest];
  const sent = [...keysOf(request?.set, at('request', 'set')), ...keysOf(claims, at('claims'))];
  const answered = keysOf(response?.set, at('response', 'set'));
  return [
    ...judged([...sent, ...itemsOf(request?.remove, at('request', 'remove'))], ofRequest),
    ...judged(itemsOf(request?.allow, at('request', 'allow')), (name) => ofRequest(name) ?? ofClient(name)),
    ...judged([...answered, ...itemsOf(response?.remove, at('response', 'remove'))], ofResponse),
    ...judged(itemsOf(response?.allow, at('response', 'allow')), (name) => ofResponse(name) ?? ofUpstream(name)),
    ...repeated(sent),
    ...repeated(answered),
    ...(auth === 'none' && claims !== undefined && Object.keys(claims).length > 0
      ? [{ path: at('claims'), message: 'auth: none knows no user, so there is no claim to send; take claims out' }]
      : []),
  ];
}

interface Named {
  path: Path;
  name: string;
}

function keysOf(fields: Record<string, unknown> | undefined, path: Path): Named[] {
  return Object.keys(fields ?? {}).map((name) => ({ path: [...path, name], name }));
}

function itemsOf(names: readonly (string | undefined)[] | undefined, path: Path): Named[] {
  return (names ?? []).flatMap((name, index) => (name === undefined ? [] : [{ path: [...path, index], name }]));
}

function judged(fields: readonly Named[], judge: Judge): Finding[] {
  return fields.flatMap(({ path, name }) => {
    const flaw = isPlainName(name.toLowerCase())
      ? judge(name.toLowerCase())
      : 'is no name that every server reads alike; a header field is named with letters, digits and hyphens';
    return flaw === undefined ? [] : [{ path, message: `"${name}" ${flaw}` }];
  });
}

function repeated(fields: readonly Named[]): Finding[] {
  const seen = new Set<string>();
  return fields.flatMap(({ path, name }) => {
    const lower = name.toLowerCase();
    if (seen.has(lower))
      return [{ path, message: `"${name}" is set twice on this route; one of the two would be lost` }];
    seen.add(lower);
    return [];
  });
}

const ofConnection = 'belongs to one connection and to the framing of the body, which Postern looks after';
const ofBody = 'says how to read the body, and goes with it as it comes';

const insteadInRequest = new Map([
  ['authorization', 'carries the token; the route’s token says which, and token: none sends none'],
  ['cookie', 'is ruled by the route’s cookies.request'],
  ['host', 'is the host of upstream'],
]);

const ofRequest: Judge = (name) => {
  if (requestConnectionNames.has(name) || /^(?:proxy|sec-websocket)-/.test(name)) return ofConnection;
  if (name === 'content-encoding') return ofBody;
  return ownRequestNames.has(name) ? (insteadInRequest.get(name) ?? 'is Postern’s own to say') : undefined;
};

const ofClient: Judge = (name) =>
  neverFromClients.has(name) || name.startsWith('x-forwarded-')
    ? 'never passes from a client, because nobody could believe it; take it out'
    : undefined;

const insteadInResponse = new Map([
  ['content-security-policy', 'is the route’s contentSecurityPolicy'],
  ['set-cookie', 'is ruled by the route’s cookies.response'],
  ['strict-transport-security', 'is strictTransportSecurity, at the top level of this file'],
  ['x-content-type-options', 'is always nosniff'],
  ['clear-site-data', 'could take the session cookie away'],
  ['postern-session', 'is Postern’s own to say'],
]);

const ofResponse: Judge = (name) => {
  if (responseConnectionNames.has(name) || name === 'content-length' || name.startsWith('proxy-')) return ofConnection;
  if (name === 'content-encoding' || name === 'content-range') return ofBody;
  if (name.startsWith('access-control-')) return 'opens the app’s origin to others, and there is no CORS here';
  return insteadInResponse.get(name);
};

const ofUpstream: Judge = (name) =>
  neverFromUpstreams.has(name) ? 'never passes from an upstream; response.set can set it' : undefined;
