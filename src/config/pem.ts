// Whether a file is what it should be: PEM (RFC 7468), readable, of the right kind.
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { formatPath } from './problem.ts';
import type { Path } from './problem.ts';
import { reasonFor } from './read-secret.ts';
import type { Finding, RuleContext } from './rule.ts';

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

/** The files of a connection that we make; some of them may be missing. */
export type TlsFiles = { [Part in 'ca' | 'cert' | 'key']?: { file?: string | undefined } | undefined };

/** What is wrong with the files of a connection that we make: an authority to trust, a client certificate that has its key beside it, and TLS that can be spoken with them. */
export function clientTlsFindings(
  path: Path,
  files: TlsFiles | undefined,
  { isGiven, readFile }: Pick<RuleContext, 'isGiven' | 'readFile'>,
): Finding[] {
  const findings = [
    ...pemFindings([...path, 'ca', 'file'], files?.ca?.file, 'certificate', readFile),
    ...pemFindings([...path, 'cert', 'file'], files?.cert?.file, 'certificate', readFile),
    ...pemFindings([...path, 'key', 'file'], files?.key?.file, 'key', readFile),
  ];
  if (isGiven([...path, 'cert']) === isGiven([...path, 'key'])) {
    if (findings.length > 0 || files === undefined) return findings;
    const flaw = tlsFlaw(readPems(files, readFile));
    return flaw === undefined ? [] : [{ path, message: `its files cannot be used: ${flaw}` }];
  }
  const [given, missing] = isGiven([...path, 'cert']) ? ['cert', 'key'] : ['key', 'cert'];
  const needed = formatPath([...path, missing]);
  return [...findings, { path: [...path, given], message: `needs ${needed} beside it: a client certificate is both` }];
}

/** What the files hold, as `tls.createSecureContext` takes it. @throws as `readFile` does */
export function readPems(
  files: TlsFiles,
  readFile: (path: string) => string,
): { ca?: string; cert?: string; key?: string } {
  const named = (['ca', 'cert', 'key'] as const).flatMap((part) => {
    const file = files[part]?.file;
    return file === undefined ? [] : [[part, readFile(file)] as const];
  });
  return Object.fromEntries(named);
}

/** Why TLS could not be spoken with what the files hold, in OpenSSL's words where they are its; undefined when it can. */
export function tlsFlaw(pems: ReturnType<typeof readPems>): string | undefined {
  // OpenSSL passes over an authority that is damaged, and in place of an empty one Node believes all public authorities.
  if (pems.ca !== undefined && !areCertificates(pems.ca))
    return 'the authority’s certificate is missing, cut off or damaged';
  try {
    createSecureContext(pems);
    return undefined;
  } catch (error) {
    const { message, reason } = error as Error & { reason?: string };
    return reason ?? message;
  }
}

function areCertificates(text: string): boolean {
  const begin = '-----BEGIN CERTIFICATE-----';
  const [, ...certificates] = text.split(begin);
  return certificates.length > 0 && certificates.every((rest) => isCertificate(begin + rest));
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).fingerprint256 !== '';
  } catch {
    return false;
  }
}
