// Until when the provider's TLS certificate is good. undici does not show it, so this is a handshake of its own.
import { once } from 'node:events';
import { connect } from 'node:tls';
import { timeLimit } from '../fair-limits.ts';

/**
 * When the certificate at an https URL ends, in epoch ms; undefined when it cannot be had.
 *
 * @param options.ca authorities in PEM instead of the public ones
 */
export async function certificateEndsAt(
  url: string,
  options: { ca: string | undefined; limitMs: number },
): Promise<number | undefined> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const named = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
  const { ca, limitMs } = options;
  const socket = connect({ host, port: Number(port || 443), ...named, ...(ca !== undefined && { ca }) });
  try {
    await once(socket, 'secureConnect', { signal: timeLimit(limitMs) });
    const endsAt = Date.parse(socket.getPeerCertificate().valid_to);
    return Number.isNaN(endsAt) ? undefined : endsAt;
  } catch {
    return undefined;
  } finally {
    socket.on('error', () => undefined);
    socket.destroy();
  }
}
