// Whether a file is what it should be: PEM (RFC 7468), readable, of the right kind.
import type { Path } from './problem.ts';
import { reasonFor } from './read-secret.ts';
import type { Finding } from './rule.ts';

const kinds = {
  certificate: { label: 'certificate', pattern: /-----BEGIN CERTIFICATE-----/ },
  key: { label: 'private key', pattern: /-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/ },
};

/** What is wrong with the file that stands at a path of the configuration; nothing when none is given. */
export function pemFindings(
  path: Path,
  file: string | undefined,
  kind: keyof typeof kinds,
  readFile: (path: string) => string,
): Finding[] {
  if (file === undefined) return [];
  const { label, pattern } = kinds[kind];
  try {
    if (pattern.test(readFile(file))) return [];
    const begin = `-----BEGIN ${label.toUpperCase()}-----`;
    return [{ path, message: `${file} holds no ${label} in PEM form (${begin})` }];
  } catch (error) {
    return [{ path, message: `${file} cannot be read: ${reasonFor(error)}` }];
  }
}
