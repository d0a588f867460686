// Which hosts a request may be for: publicUrl's and no other, whatever the connection says (RFC 9110 section 7.4).
import type { IncomingMessage } from 'node:http';

/** The values of `Host` that mean `publicUrl`, in lower case. */
export function acceptedHosts(publicUrl: string): ReadonlySet<string> {
  const { protocol, hostname, host } = new URL(publicUrl);
  return new Set([host, ...(host === hostname ? [`${hostname}:${protocol === 'https:' ? '443' : '80'}`] : [])]);
}

/** Whether a request says one of these hosts, and once: Node keeps the first of two Host headers, and a proxy in front may have believed the second. */
export function isForUs(request: IncomingMessage, hosts: ReadonlySet<string>): boolean {
  const { rawHeaders } = request;
  let seen = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.length === 4 && rawHeaders[index]?.toLowerCase() === 'host') seen += 1;
  }
  return seen === 1 && hosts.has(request.headers.host?.toLowerCase() ?? '');
}
