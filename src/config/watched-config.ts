// The files that a configuration is made of: itself, the secrets it names, the provider's authority. Session keys, our own certificate and
// the files of upstreams are followed by those who use them.
import { createHash } from 'node:crypto';
import type { Outside } from './read-secret.ts';
import type { Config } from './schema.ts';
import { Secret } from './secret.ts';

/** The files beside the configuration itself whose content is taken over by a reload. */
export function filesOf(config: Config): string[] {
  const secrets = secretFiles({ ...config, session: { ...config.session, keys: [] } });
  return [...new Set([...secrets, config.provider.tls?.ca.file ?? []].flat())];
}

function secretFiles(value: unknown): string[] {
  if (value instanceof Secret) {
    const source = value.toSource();
    return typeof source === 'object' && 'file' in source ? [source.file] : [];
  }
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(secretFiles) : [];
}

/** A digest of what stands in each file; one that cannot be read counts as such. */
export type FileContents = ReadonlyMap<string, string>;

export function contentOf(files: readonly string[], readFile: Outside['readFile']): FileContents {
  const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url');
  return new Map(files.map((file) => [file, digestOf(read(file, readFile))]));
}

/** The files whose content differs, of those that both have. */
export function changedFiles(from: FileContents, to: FileContents): string[] {
  return [...to].filter(([file, content]) => (from.get(file) ?? content) !== content).map(([file]) => file);
}

function read(file: string, readFile: Outside['readFile']): string {
  try {
    return `there: ${readFile(file)}`;
  } catch {
    return 'not there';
  }
}
