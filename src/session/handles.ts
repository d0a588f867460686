// A session's public name: says which one is meant and opens nothing.
import { createHash } from 'node:crypto';

/** The first 16 bytes of SHA-256 over `handle` and h, base64url. */
export function handleOf(h: string): string {
  return createHash('sha256').update('handle').update(h).digest().subarray(0, 16).toString('base64url');
}
