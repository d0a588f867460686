// A request that is sent to its upstream a second time. The first time has used up its body, and the proxy library has hung its listeners on it.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { mostHeldBytes } from './held-body.ts';
import type { UpstreamHeaders } from './upstream-headers.ts';

const empty = Buffer.alloc(0);

/** Whether a request that goes out with these headers has a body. */
export function hasBody(headers: Pick<IncomingHttpHeaders, 'transfer-encoding' | 'content-length'>): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** What goes by of a request's body. Made in the moment in which the body is piped away, so that neither reader misses a byte. */
export class BodyCopy {
  readonly #request: IncomingMessage;
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(request: IncomingMessage) {
    this.#request = request;
    request.on('data', this.#add);
  }

  /** All of the body, or undefined when some of it is still to come or it is too large to be kept. */
  whole(): Buffer | undefined {
    return this.#request.readableEnded && this.#size <= mostHeldBytes ? Buffer.concat(this.#chunks) : undefined;
  }

  /** It will not be needed. */
  drop(): void {
    this.#chunks = [];
    this.#size = Infinity;
    this.#request.off('data', this.#add);
  }

  readonly #add = (chunk: Buffer): void => {
    this.#size += chunk.length;
    if (this.#size <= mostHeldBytes) this.#chunks.push(chunk);
    else this.drop();
  };
}

/** The same request anew, as far as the proxy library looks at one. */
export function requestAgain(
  request: IncomingMessage,
  headers: UpstreamHeaders,
  body: Buffer = empty,
): IncomingMessage {
  const { method, url, httpVersion, httpVersionMajor, httpVersionMinor, socket } = request;
  const again = new Readable({
    read() {
      this.push(body);
      this.push(null);
    },
  });
  const head = { method, url, headers, httpVersion, httpVersionMajor, httpVersionMinor, socket };
  return Object.assign(again, head) as unknown as IncomingMessage;
}
