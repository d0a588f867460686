// Bodies of any size that cost nothing to make: one block over and over, produced as fast as it is taken and no faster.
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';

const block = randomBytes(65_536);

/** A body of so many bytes. `onTaken` hears how many have been taken from it so far. */
export function bulk(bytes: number, onTaken: (soFar: number) => void = () => undefined): Readable {
  let taken = 0;
  return new Readable({
    read() {
      const next = block.subarray(0, Math.min(block.length, bytes - taken));
      taken += next.length;
      onTaken(taken);
      this.push(next.length === 0 ? null : next);
    },
  });
}

const digests = new Map<number, string>();

/** SHA-256 of a body of so many bytes. */
export function digestOfBulk(bytes: number): string {
  let digest = digests.get(bytes);
  if (digest !== undefined) return digest;
  const hash = createHash('sha256');
  for (let left = bytes; left > 0; left -= block.length) hash.update(block.subarray(0, Math.min(block.length, left)));
  digest = hash.digest('hex');
  digests.set(bytes, digest);
  return digest;
}

/** Reads a body to its end; throws when it was cut. */
export async function digestOf(body: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of body) hash.update(chunk);
  return hash.digest('hex');
}
