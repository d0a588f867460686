// Files that are read again when they change, so that a key or a certificate is replaced without a restart. What is not right changes nothing;
// either way it is an audit event.
import { readFileSync } from 'node:fs';
import { reasonFor } from '../config/read-secret.ts';
import { watchFiles } from '../config/watched-files.ts';
import type { Audit } from './audit.ts';
import type { Metrics } from './metrics.ts';

export interface FollowedFilesOptions<Content> {
  /** The key of the configuration that names them. */
  setting: string;
  files: readonly string[];
  /** What is in force at the start. */
  current: Content;
  /** What they hold now. Throws with why that cannot be told, in words. */
  read: () => Content;
  /** The same text for the same content; it is compared, and never shown. */
  textOf: (content: Content) => string;
  /** Why other content than the current cannot be used, in words. */
  flawOf: (content: Content) => string | undefined;
  /** Puts it in force. */
  take: (content: Content) => void;
  counter?: Metrics['keyReloads'];
  audit: Audit;
}

const pollMs = 30_000;

/** Follows files until it is closed, and begins by looking: they may have changed since they were read. */
export function followFiles<Content>(options: FollowedFilesOptions<Content>): { close(): void } {
  const { setting, files, counter, audit } = options;
  let known = options.textOf(options.current);
  let told: string | undefined;

  function look(): void {
    let problem: string | undefined;
    try {
      const content = options.read();
      const text = options.textOf(content);
      problem = text === known ? undefined : options.flawOf(content);
      if (text !== known && problem === undefined) take(content, text);
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    // Looked at again and again, and told once.
    if (problem !== undefined && problem !== told) {
      counter?.inc({ outcome: 'refused' });
      audit('files_refused', { setting, files, problems: [problem] });
    }
    told = problem;
  }

  function take(content: Content, text: string): void {
    options.take(content);
    known = text;
    counter?.inc({ outcome: 'taken' });
    audit('files_reloaded', { setting, files });
  }

  if (files.length === 0) return { close: () => undefined };
  const watched = watchFiles({ files, pollMs, onChange: look });
  look();
  return watched;
}

/** The text of a file. Throws with its name and why it cannot be read. */
export function readFollowed(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`${path} cannot be read: ${reasonFor(error)}`, { cause: error });
  }
}
