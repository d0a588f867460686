// What went wrong on the way to an upstream, and whether it may be tried again.
import type { ClientRequest } from 'node:http';
import { PosternError } from '../errors.ts';
import { UpstreamTimeout } from './time-limits.ts';

/** What a failed request to an upstream is called towards its caller: `upstream_timeout`, `upstream_invalid` or `upstream_unreachable`. */
export function asPosternError(cause: NodeJS.ErrnoException): PosternError {
  if (cause instanceof UpstreamTimeout || cause.code === 'ETIMEDOUT') {
    return new PosternError('upstream_timeout', { cause });
  }
  // HPE_…: what the parser of Node could not accept as HTTP.
  if (cause.code?.startsWith('HPE_') === true) return new PosternError('upstream_invalid', { cause });
  return new PosternError('upstream_unreachable', { cause });
}

/**
 * To be asked as a request is given its connection. Tells of a later error whether the request was lost with it: an upstream may close an idle connection
 * at the very moment in which it is used again (RFC 9110 section 9.3.1, RFC 9112 section 9.3.1).
 */
export function watchForLoss(upstreamRequest: ClientRequest): (error: NodeJS.ErrnoException) => boolean {
  if (!upstreamRequest.reusedSocket) return () => false;
  const received = (): number | undefined => upstreamRequest.socket?.bytesRead;
  const before = received();
  return ({ code }) => before !== undefined && before === received() && (code === 'ECONNRESET' || code === 'EPIPE');
}

// RFC 9110 section 9.2.1: sent twice, it does no more than sent once.
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether a method is safe. */
export function isSafe(method: string | undefined): boolean {
  return safeMethods.has(method ?? '');
}
