// The header fields an upstream sees. They are made from scratch before the proxy library sees the request: its own hooks are skipped for some requests,
// and a field left in place is a field that a client can forge (RFC 9110 section 7.6, RFC 7239 section 8.1, RFC 10017 section 6.1).
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import {
  bodyNames,
  isPlainName,
  neverFromClients,
  ownRequestNames,
  requestConnectionNames,
} from '../config/header-names.ts';
import type { RouteConfig } from '../config/schema.ts';
import type { Claims } from '../oidc/token-set.ts';
import { cookiesThatPass } from '../session/cookie-header.ts';
import { readTraceparent } from '../telemetry/traceparent.ts';
import { createClaimHeaders } from './claims.ts';

/** What of a request goes into its upstream's headers. */
export interface IncomingHead {
  headers: IncomingHttpHeaders;
  httpVersion: string;
}

/** What we say ourselves about one request. */
export interface OwnStatements {
  clientAddress: string;
  /** The client and the trusted proxies that it came through, as X-Forwarded-For says it. */
  forwardedFor: string;
  requestId: string;
  /** The token for the upstream; none for an anonymous call. */
  bearer: string | undefined;
  /** Who is signed in; undefined for an anonymous call. */
  claims: Claims | undefined;
}

/** Lower-case names; ready to be sent. */
export type UpstreamHeaders = Record<string, string>;

export type BuildUpstreamHeaders = (incoming: IncomingHead, own: OwnStatements) => UpstreamHeaders;

export interface UpstreamHeadersOptions {
  publicUrl: string;
  /** The upstream's host and port. */
  authority: string;
  /** Which cookies may go on, or false when none may. */
  passesCookie: ((name: string) => boolean) | false;
  /** What the route says of header fields; nothing for what is no route. */
  headers?: Pick<RouteConfig['headers'], 'request' | 'claims'> | undefined;
  /** Names that carry claims, here or on another route. */
  claimNames: readonly string[];
}

const alwaysDropped = [...requestConnectionNames, ...ownRequestNames, ...neverFromClients];

/** Prepares the builder for one route. The builder is pure: the same request gives the same headers. */
export function createUpstreamHeaders(options: UpstreamHeadersOptions): BuildUpstreamHeaders {
  const { authority, passesCookie } = options;
  const fixed = lowerCaseEntries(options.headers?.request.set ?? {});
  const claimHeaders = createClaimHeaders(options.headers?.claims ?? {});
  const passes = createNameFilter(options);
  const viaName = viaNameOf(options.publicUrl);
  const { protocol, host, port } = new URL(options.publicUrl);
  const proto = protocol.slice(0, -1);
  const forwardedPort = port === '' ? (proto === 'https' ? '443' : '80') : port;

  return function build({ headers, httpVersion }, { clientAddress, forwardedFor, requestId, bearer, claims }) {
    const named = headers.connection === undefined ? undefined : namedByConnection(headers.connection);
    const built: UpstreamHeaders = { host: authority };
    for (const name in headers) {
      if (!passes(name) || named?.has(name) === true) continue;
      const value = headers[name];
      if (value !== undefined) built[name] = typeof value === 'string' ? value : value.join(', ');
    }
    for (const [name, value] of fixed) built[name] = value;
    if (claimHeaders !== undefined && claims !== undefined) {
      for (const [name, value] of claimHeaders(claims)) built[name] = value;
    }

    // The body's framing is ours to state, whatever Connection says: a body without it would be read as a second request.
    if (headers['transfer-encoding'] !== undefined) built['transfer-encoding'] = 'chunked';
    else if (headers['content-length'] !== undefined) built['content-length'] = headers['content-length'];

    if (passesCookie !== false && headers.cookie !== undefined) {
      const cookie = cookiesThatPass(headers.cookie, passesCookie);
      if (cookie !== '') built.cookie = cookie;
    }
    if (bearer !== undefined) built.authorization = `Bearer ${bearer}`;
    built['x-forwarded-for'] = forwardedFor;
    built['x-forwarded-host'] = host;
    built['x-forwarded-proto'] = proto;
    built['x-forwarded-port'] = forwardedPort;
    built.forwarded = `for=${forwardedNode(clientAddress)};host="${host}";proto=${proto}`;
    built.via = `${headers.via === undefined ? '' : `${headers.via}, `}${httpVersion} ${viaName}`;
    built['x-request-id'] = requestId;
    const { traceparent } = headers;
    if (typeof traceparent === 'string' && readTraceparent(traceparent) !== undefined) {
      built.traceparent = traceparent;
      if (typeof headers.tracestate === 'string') built.tracestate = headers.tracestate;
    }
    return built;
  };
}

/** What this Postern, all its replicas together, calls itself in `Via`: tells its own requests from those of another one behind or before it. */
export function viaNameOf(publicUrl: string): string {
  return `postern-${createHash('sha256').update(publicUrl).digest('hex').slice(0, 8)}`;
}

/** Which of the client's fields go on: decided by name alone. */
function createNameFilter({ headers, claimNames }: UpstreamHeadersOptions): (name: string) => boolean {
  const { set = {}, remove = [], allow } = headers?.request ?? {};
  const dropped = new Set([
    ...alwaysDropped,
    ...[...Object.keys(set), ...remove, ...claimNames].map((name) => name.toLowerCase()),
  ]);
  const allowed = allow === undefined ? undefined : new Set([...bodyNames, ...allow.map((name) => name.toLowerCase())]);
  return (name) =>
    !dropped.has(name) &&
    (allowed === undefined || allowed.has(name)) &&
    !name.startsWith('x-forwarded-') &&
    !name.startsWith('proxy-') &&
    isPlainName(name);
}

function lowerCaseEntries(fields: Readonly<Record<string, string>>): [name: string, value: string][] {
  return Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]);
}

function namedByConnection(connection: string): Set<string> | undefined {
  if (connection === 'keep-alive' || connection === 'close') return undefined;
  return new Set(connection.toLowerCase().split(/[\s,]+/));
}

// RFC 7239 section 6: an IPv6 address is bracketed, and quoted for its colons. What a proxy says in place of an address may be anything.
function forwardedNode(address: string): string {
  switch (isIP(address)) {
    case 4:
      return address;
    case 6:
      return `"[${address}]"`;
    default:
      return 'unknown';
  }
}
