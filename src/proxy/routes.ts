// Which route a path belongs to: the longest prefix that ends at a segment boundary (RFC 10017 section 6.1.3.6).
// A path that a careless upstream could read as belonging to another route belongs to none.
import { isUnder } from '../config/path-prefix.ts';
import type { Config, RouteConfig } from '../config/schema.ts';
import { reachOf, serverOf, socketOf } from '../config/upstream-address.ts';

/** Where a route's requests go. */
export interface Upstream {
  /** What all upstreams on one server have in common. */
  server: string;
  protocol: 'http:' | 'https:';
  /** Without the brackets of an IPv6 address. */
  hostname: string;
  port: number;
  /** The `Host` header's value. */
  authority: string;
  /** Put in front of every path; without a slash at its end. */
  basePath: string;
  /** The socket of this machine that is connected to instead of host and port. */
  socketPath: string | undefined;
  /** How the connection is secured, where it is not by the public authorities alone. */
  tls: RouteConfig['tls'];
}

/** A configured route with everything that can be worked out beforehand. */
export interface Route {
  readonly config: RouteConfig;
  readonly upstream: Upstream;
  /** The path that the upstream gets for a matching path. */
  upstreamPath(path: string): string;
}

export type RouteMatch =
  | { kind: 'route'; route: Route }
  | { kind: 'none' }
  /** Read strictly and read carelessly, the path leads to different routes: to be refused as malformed. */
  | { kind: 'ambiguous' };

export interface RouteTable {
  readonly routes: readonly Route[];
  /** `path` is canonical where it is served; links that are only looked at need not be. */
  match(path: string): RouteMatch;
}

interface Entry {
  path: string;
  laxPath: string;
  match: { kind: 'route'; route: Route };
}

/** The order of the routes makes no difference. */
export function createRouteTable(configs: readonly RouteConfig[]): RouteTable {
  const entries: Entry[] = configs.map((config) => {
    const { path } = config;
    return { path, laxPath: path.toLowerCase(), match: { kind: 'route', route: createRoute(config) } };
  });
  entries.sort((a, b) => b.path.length - a.path.length);
  const none: RouteMatch = { kind: 'none' };
  const ambiguous: RouteMatch = { kind: 'ambiguous' };

  return {
    routes: entries.map((entry) => entry.match.route),
    match(path) {
      const entry = entries.find((candidate) => isUnder(path, candidate.path));
      const leadsThere = (lax: string | undefined) =>
        lax !== undefined && entries.find(({ laxPath }) => isUnder(lax, laxPath))?.laxPath === entry?.laxPath;
      if (mayBeReadLaxly.test(path) && !laxReadings(path).every(leadsThere)) return ambiguous;
      return entry === undefined ? none : entry.match;
    },
  };
}

/** Takes the address of an upstream apart. */
export function parseUpstream(address: string, tls?: RouteConfig['tls']): Upstream {
  const socketPath = socketOf(address);
  const { protocol, hostname, port, host, pathname } = new URL(socketPath === undefined ? address : 'http://localhost');
  return {
    server: serverOf(address),
    protocol: protocol === 'https:' ? 'https:' : 'http:',
    hostname: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
    authority: host,
    basePath: pathname.replace(/\/$/, ''),
    socketPath,
    tls,
  };
}

/** All that a configuration sends requests to. */
export function upstreamsOf({ routes, spa }: Pick<Config, 'routes' | 'spa'>): Upstream[] {
  const ofRoutes = routes.map(({ upstream, tls }) => parseUpstream(upstream, tls));
  return spa !== undefined && 'upstream' in spa ? [...ofRoutes, parseUpstream(spa.upstream)] : ofRoutes;
}

function createRoute(config: RouteConfig): Route {
  const ownLength = config.path === '/' ? 0 : config.path.length;
  const reach = reachOf(config);
  return {
    config,
    upstream: parseUpstream(config.upstream, config.tls),
    upstreamPath: (path) => reach + path.slice(ownLength) || '/',
  };
}

// Case-insensitive routers, those that trim names (CVE-2016-5007), servlet containers that drop ;parameters, file systems that drop dots and spaces at
// the end of a name, servers that decode %2F before they split, or everything twice, those that fold characters into plain letters, dots and slashes,
// as for /ａdmin or the Kelvin sign, and those that merge the slashes left over (CVE-2021-39206 and its kin).
const mayBeReadLaxly = /[A-Z;%]|\.(?:\/|$)/;
const escapes = /(?:%[0-9a-f]{2})+/gi;
const dotSegment = /\/ *\.[. ]*(?:\/|$)/;
const otherLetters = /\P{ASCII}/gu;
const delimiter = /[/\\;%]/;

/** What servers may make of a path. Undefined stands for one that leads out of the segments that it names. */
function laxReadings(path: string): (string | undefined)[] {
  let readings = new Set([path]);
  // Servers take some of these steps, and drop ;parameters before any of them: each step may show a delimiter that was none before.
  for (const step of [unescaped, unescaped, folded, unescaped]) {
    readings = new Set([...readings].flatMap((text) => [text, ...step(text), ...step(withoutParameters(text))]));
  }
  return [...readings].map(tidied);
}

// Decoded as far as it can be: what is not canonical may hold any bytes.
function unescaped(text: string): string[] {
  return [text.replace(escapes, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString())];
}

/** Delimiters that come of folding are delimiters to some servers only. */
function folded(text: string): string[] {
  const noDelimiters = text.replace(otherLetters, (char) => (delimiter.test(char.normalize('NFKC')) ? '\ufffd' : char));
  return [text.normalize('NFKC'), noDelimiters.normalize('NFKC')];
}

function withoutParameters(text: string): string {
  return text.replace(/;[^/]*/g, '');
}

function tidied(text: string): string | undefined {
  const read = withoutParameters(
    text
      // Up and down again, and without the dot that this leaves over: a dotless i is an I in capitals, and a dotted I an i in small letters.
      .toUpperCase()
      .toLowerCase()
      .replaceAll('\u0307', '')
      .replaceAll('\\', '/'),
  );
  if (dotSegment.test(read)) return undefined;
  // The lookbehind keeps it linear: without it a long run of dots would be scanned again from each dot.
  return read
    .replace(/\/ +/g, '/')
    .replace(/(?<![. ])[. ]+(?=\/|$)/g, '')
    .replace(/\/{2,}/g, '/');
}
