// Requests whose bytes could be read in two ways are refused before anybody acts on them, and nothing that came with them is believed (RFC 9112 sections 6.1 and 11.2).
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** `close`: refuse it and close its connection. `ignore`: it follows one of those on the same connection, so that nobody knows what it really is. */
export type FramingVerdict = 'pass' | 'close' | 'ignore';

/** Judges every request of a listener, in order. An upgrade is none of our protocols; a body in another coding than chunked cannot be framed again as it was. */
export function createFramingGuard(): (request: IncomingMessage) => FramingVerdict {
  const abandoned = new WeakSet<Socket>();
  return (request) => {
    if (abandoned.has(request.socket)) return 'ignore';
    if (isPlain(request)) return 'pass';
    abandoned.add(request.socket);
    return 'close';
  };
}

function isPlain({ headers, httpVersion }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding'];
  if (headers.upgrade !== undefined) return false;
  // HTTP/1.0 knows no transfer coding.
  return coding === undefined || (coding.toLowerCase() === 'chunked' && httpVersion === '1.1');
}
