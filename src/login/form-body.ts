// A small form in the body of a request (RFC 6749 appendix B), for the one endpoint that takes one. Bounded in size and in time.
import { addAbortSignal } from 'node:stream';
import type { IncomingMessage } from 'node:http';

const mostBytes = 64 * 1024;
const longestMs = 10_000;

/** The form's fields; undefined when the body is something else, larger than 64 KB, or does not come within 10 s. */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/x-www-form-urlencoded *(;|$)/i.test(type)) return undefined;
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    const body = addAbortSignal(AbortSignal.timeout(longestMs), request);
    for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > mostBytes) return undefined;
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
