// What can be said of a certificate and its key before a client says it: whether TLS can be served with them, when and for whom (RFC 5280, RFC 9525).
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';

/** Two texts in PEM. In `cert` the server's own certificate comes first, then those that lead to its authority. */
export interface CertificatePair {
  cert: string;
  key: string;
}

/** Why TLS cannot be served with a pair, and which of the two is to blame; undefined when it can. */
export function flawOf({ cert, key }: CertificatePair): { part: keyof CertificatePair; message: string } | undefined {
  const certificate = readable(() => new X509Certificate(cert));
  if (certificate === undefined) return { part: 'cert', message: 'holds a certificate that is cut off or damaged' };
  if (/^(-----BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED)/m.test(key)) {
    return {
      part: 'key',
      message: 'holds a key under a passphrase; write it without one: openssl pkey -in … -out …',
    };
  }
  const privateKey = readable(() => createPrivateKey(key));
  if (privateKey === undefined) return { part: 'key', message: 'holds a key that is cut off or damaged' };
  if (!certificate.checkPrivateKey(privateKey)) {
    return {
      part: 'key',
      message: 'does not belong to the certificate; in the file of tls.cert the server’s own must come first',
    };
  }
  // Last, because it names no reason: what is left is a damaged chain, or an algorithm or a size that TLS no longer takes.
  if (readable(() => createSecureContext({ cert, key })) === undefined) {
    return { part: 'cert', message: 'holds a damaged chain, or a key too weak for TLS' };
  }
  return undefined;
}

/** When a certificate without flaws ends; epoch ms. */
export function notAfter(cert: string): number {
  return Date.parse(new X509Certificate(cert).validTo);
}

/** What is wrong with the time of a certificate without flaws; undefined when it is valid. `nowMs` is epoch ms. */
export function outOfTime(cert: string, nowMs: number): string | undefined {
  const { validFrom, validTo } = new X509Certificate(cert);
  if (nowMs < Date.parse(validFrom)) return `is not valid before ${validFrom}`;
  return nowMs > Date.parse(validTo) ? `expired at ${validTo}` : undefined;
}

/** That a certificate without flaws is for other hosts than this one; undefined when it covers it. Browsers look at the alternative names alone. */
export function notFor(cert: string, host: string): string | undefined {
  const certificate = new X509Certificate(cert);
  const name = host.replace(/^\[|\]$/g, '');
  const covered = isIP(name) === 0 ? certificate.checkHost(name, { subject: 'never' }) : certificate.checkIP(name);
  return covered === undefined
    ? `does not cover ${host}; it is for ${certificate.subjectAltName ?? 'no host'}`
    : undefined;
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
