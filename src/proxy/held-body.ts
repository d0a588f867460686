// The body of an answer that may never be passed on: read as long as it is small. It is never destroyed, because the proxy library would then cut
// the client's connection too.
import type { IncomingMessage, ServerResponse } from 'node:http';

/** The most that is kept of a body, in either direction. */
export const mostHeldBytes = 64 * 1024;

export interface HeldBody {
  /** Whether all of it is here; if not, the rest waits in the answer. */
  readonly isWhole: boolean;
  /** Passes it on, and what is still to come; or reads the rest and drops it. */
  sendTo(response: ServerResponse): void;
  drop(): void;
}

// Whoever waits here has not even a head: it gets one long before the upstream's silence counts as an idle time-out.
const mostWaitMs = 2_000;

/** Resolves at the body's end, or as soon as it is too large or too slow. Never, when the answer is cut: the library has cut the client off then. */
export function holdBody(answer: IncomingMessage): Promise<HeldBody> {
  const { promise, resolve } = Promise.withResolvers<HeldBody>();
  const chunks: Buffer[] = [];
  let size = 0;

  function settle(isWhole: boolean): void {
    clearTimeout(slow);
    answer.off('data', add).off('end', end);
    if (!isWhole) answer.pause();
    resolve({
      isWhole,
      sendTo(response) {
        const bytes = Buffer.concat(chunks);
        if (isWhole) {
          response.end(bytes);
        } else {
          response.write(bytes);
          answer.pipe(response);
        }
      },
      drop: () => void answer.resume(),
    });
  }
  function add(chunk: Buffer): void {
    chunks.push(chunk);
    size += chunk.length;
    if (size > mostHeldBytes) settle(false);
  }
  function end(): void {
    settle(true);
  }

  const slow = setTimeout(settle, mostWaitMs, false);
  answer.once('close', () => clearTimeout(slow));
  answer.on('data', add).on('end', end);
  return promise;
}
