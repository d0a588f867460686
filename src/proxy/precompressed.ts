// Files that the build has compressed beside the original: app.js.br, app.js.zst, app.js.gz (RFC 9110 section 12.5.3).
import { lstat } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { Negotiator } from 'negotiator';
import type { AppFile } from './app-directory.ts';

/** One form of a file. */
export interface Representation {
  /** Where its bytes are; absolute. */
  path: string;
  /** What Content-Encoding says of them; undefined for the original. */
  coding: Coding | undefined;
}

type Coding = keyof typeof extensions;

// The smallest first: the order among codings that a browser likes equally.
const extensions = { br: '.br', zstd: '.zst', gzip: '.gz' };
const codings = Object.keys(extensions) as Coding[];
const forms = [...codings, 'identity'] as const;

// Copying a build can leave its files in any order, some of them later than others.
const copyingTakesMs = 60_000;

/**
 * The form of the file that the request likes best. The original goes also to a client that accepts no form at all: a page that can perhaps not be read says
 * more than a 406.
 */
export async function representationOf(file: AppFile, headers: IncomingHttpHeaders): Promise<Representation> {
  for (const form of new Negotiator({ headers }).encodings(forms, { preferred: forms })) {
    if (form === 'identity') break;
    const path = file.path + extensions[form];
    if (await isCompressedFormOf(file, path)) return { path, coding: form };
  }
  return { path: file.path, coding: undefined };
}

// A link could lead out of the directory. And what is left over from an earlier build would hide the new one.
async function isCompressedFormOf(file: AppFile, path: string): Promise<boolean> {
  try {
    const stats = await lstat(path);
    return stats.isFile() && stats.mtimeMs > file.stats.mtimeMs - copyingTakesMs;
  } catch {
    return false;
  }
}
