// Files that change while Postern runs: secrets that are rotated, mounted volumes that are swapped.
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { dirname } from 'node:path';

export interface WatchedFilesOptions {
  files: readonly string[];
  /** Looks again after this, whatever the system says: network file systems tell nobody. */
  pollMs: number;
  /** Something may have changed. Called for nothing at times, and now and then while a file is being written. */
  onChange: () => void;
}

/** A file is often written in several steps, and several files one after the other. */
const quietMs = 200;

/** Watches files through their directories, because Kubernetes changes a mounted secret by swapping a symbolic link beside it. Keeps no process alive. */
export function watchFiles({ files, pollMs, onChange }: WatchedFilesOptions): { close(): void } {
  let soon: NodeJS.Timeout | undefined;
  const changed = (): void => {
    soon ??= setTimeout(() => {
      soon = undefined;
      onChange();
    }, quietMs).unref();
  };
  const watchers = [...new Set(files.map((file) => dirname(file)))].flatMap((directory) => watched(directory, changed));
  const poll = setInterval(onChange, pollMs).unref();
  return {
    close() {
      clearTimeout(soon);
      clearInterval(poll);
      watchers.forEach((watcher) => watcher.close());
    },
  };
}

// A directory that cannot be watched (not there, the system's limit reached) is left to the poll.
function watched(directory: string, changed: () => void): FSWatcher[] {
  try {
    const watcher = watch(directory, { persistent: false }, changed);
    watcher.on('error', () => watcher.close());
    return [watcher];
  } catch {
    return [];
  }
}
