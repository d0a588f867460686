// Which hosts are this machine, and which are inside a cluster: what may travel unencrypted, and what must not.
import { isIPv4 } from 'node:net';

/** localhost, *.localhost (RFC 6761), 127.0.0.0/8 and [::1]. */
export function isLoopback(url: URL): boolean {
  const host = url.hostname.replace(/\.$/, '');
  return (
    host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || (isIPv4(host) && host.startsWith('127.'))
  );
}

/** A single label, *.svc or *.local: names that only a container network or a cluster resolves. */
export function isClusterInternal(url: URL): boolean {
  const host = url.hostname.replace(/\.$/, '');
  return /^[a-z0-9_-]+$/i.test(host) || host.endsWith('.svc') || host.endsWith('.local');
}

/** Whether two listeners would get in each other's way. Port 0 lets the system choose, so it never does. */
export function isSameListener(a: { host: string; port: number }, b: { host: string; port: number }): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || isEveryAddress(a.host) || isEveryAddress(b.host);
}

function isEveryAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
