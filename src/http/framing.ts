// Requests whose bytes could be read in two ways are refused before anybody acts on them, and nothing that came with them is believed (RFC 9112 sections 6.1 and 11.2).
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** `close`: refuse it and close its connection. `ignore`: it follows one of those on the same connection, so that nobody knows what it really is. */
export type FramingVerdict = 'pass' | 'close' | 'ignore';

const isSound = { answer: isPlain, upgrade: isBareHandshake, opinion: hasPlainBody };

// Of the process: a connection outlives the configuration that its first request was answered by.
const abandoned = new WeakSet<Socket>();

/**
 * Judges a request; to be asked about every one of a connection, in order. `asks`: for an answer, for another protocol on its connection (RFC 9110 section 7.8),
 * or, as a gateway, what we think of somebody else's request, whose own wishes stand in it.
 */
export function judgeFraming(request: IncomingMessage, asks: keyof typeof isSound): FramingVerdict {
  if (abandoned.has(request.socket)) return 'ignore';
  if (isSound[asks](request)) return 'pass';
  abandoned.add(request.socket);
  return 'close';
}

function isPlain(request: IncomingMessage): boolean {
  return request.headers.upgrade === undefined && hasPlainBody(request);
}

// A body in another coding than chunked cannot be framed again as it was.
function hasPlainBody({ headers, httpVersion }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding'];
  // HTTP/1.0 knows no transfer coding.
  return coding === undefined || (coding.toLowerCase() === 'chunked' && httpVersion === '1.1');
}

// The one other protocol is WebSocket (RFC 6455 section 4.1); h2c would carry requests that nobody looks at. A body would be read as the first frames.
function isBareHandshake({ method, headers, httpVersion }: IncomingMessage): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  return method === 'GET' && httpVersion === '1.1' && headers.upgrade?.toLowerCase() === 'websocket' && !hasBody;
}
