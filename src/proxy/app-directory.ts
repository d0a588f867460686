// Which file of the app's directory a path names. Nothing outside the directory, and nothing remembered: a deploy is seen by the next request.
import type { Stats } from 'node:fs';
import { lstat, realpath } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';

/** A regular file inside the directory. */
export interface AppFile {
  /** Absolute, with every symbolic link resolved. */
  path: string;
  /** Of the name that was asked for: `.js`. */
  extension: string;
  stats: Stats;
}

/**
 * Finds the file at a canonical request path (proxy/canonical-path); undefined when there is none that may be served.
 *
 * @throws what the file system says of a file that is there and cannot be reached
 */
export type FindAppFile = (path: string) => Promise<AppFile | undefined>;

// The one name with a dot in front that is meant for everybody (RFC 8615).
const wellKnown = '.well-known';
const noSuchFile = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'ERR_INVALID_ARG_VALUE']);

/** @param directory may itself be a symbolic link that a deploy turns to another release */
export function createAppDirectory(directory: string): FindAppFile {
  return async function find(path) {
    const name = fileNameOf(path);
    if (name === undefined) return undefined;
    try {
      const root = await realpath(directory);
      const file = await realpath(join(root, name));
      // Links may lead around inside the directory, as Kubernetes' mounts do, and not out of it.
      if (!file.startsWith(root + sep)) return undefined;
      const stats = await lstat(file);
      return stats.isFile() ? { path: file, extension: extname(name), stats } : undefined;
    } catch (error) {
      if (noSuchFile.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw error;
    }
  };
}

/** The name below the directory; undefined for what has no name there. */
function fileNameOf(path: string): string | undefined {
  const segments = path.split('/').map((segment) => decodeURIComponent(segment));
  // An encoded slash would be a second spelling of a directory's.
  if (segments.some((segment) => /[/\\\0]/.test(segment))) return undefined;
  if (segments.some((segment, depth) => segment.startsWith('.') && !(depth === 1 && segment === wellKnown))) {
    return undefined;
  }
  return path.endsWith('/') ? [...segments, 'index.html'].join('/') : segments.join('/');
}
