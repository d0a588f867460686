// Where the routes of a file lead to, as far as rules ask: which upstreams are one server, and which of its paths a route reaches.
import type { RouteConfig } from './schema.ts';

/** The path of the socket, for an upstream on this machine that has no port; undefined for one on the network. */
export function socketOf(upstream: string): string | undefined {
  return upstream.startsWith('unix:') ? upstream.slice('unix:'.length) : undefined;
}

/** What two routes to the same server have in common. */
export function serverOf(upstream: string): string {
  return socketOf(upstream) === undefined ? new URL(upstream).origin : upstream;
}

/** The path that stands at the upstream in place of the route's own, without a slash at its end: `/v1/api`, or nothing. */
export function reachOf({ path, upstream, stripPath, rewrite }: RouteConfig): string {
  const base = socketOf(upstream) === undefined ? new URL(upstream).pathname : '';
  const own = rewrite ?? (stripPath ? '/' : path);
  return base.replace(/\/$/, '') + own.replace(/\/$/, '');
}
