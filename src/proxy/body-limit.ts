// Request bodies that do not say how long they are: counted while they stream, and told of once there is too much.
import type { IncomingMessage } from 'node:http';

/** Calls `tell` once, as soon as more than `most` bytes have gone by. To be called in the moment in which the body is piped away, so that no byte is missed. */
export function onBodyOver(request: IncomingMessage, most: number, tell: () => void): void {
  let size = 0;
  const count = (chunk: Buffer): void => {
    size += chunk.length;
    if (size <= most) return;
    request.off('data', count);
    tell();
  };
  request.on('data', count);
}
