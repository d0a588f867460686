// TLS of our own, for those with nothing in front that ends it (RFC 9325). The certificate follows its files: connections stay, new ones get the new one,
// and what cannot be served changes nothing.
import type { ServerOptions } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import { flawOf, notAfter, notFor, outOfTime } from '../config/certificate.ts';
import type { CertificatePair } from '../config/certificate.ts';
import type { Config } from '../config/schema.ts';
import type { Audit } from '../telemetry/audit.ts';
import { followFiles, readFollowed } from '../telemetry/followed-files.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface TlsServerOptions {
  files: NonNullable<Config['tls']>;
  /** The host that browsers know, whatever the certificate says. */
  host: string;
  /** Epoch ms. */
  wallNow: () => number;
  metrics: Metrics;
  audit: Audit;
  log: Logger;
}

const handshakeTimeoutMs = 10_000;

// Forward secrecy and authenticated encryption alone (RFC 9325 sections 3.1.1 and 4.2). Any of them will do, so the client may choose the one that it is quick at.
const protocol = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  honorCipherOrder: false,
} as const;

/**
 * An HTTPS server that speaks HTTP/1.1 and follows its files until it is closed.
 *
 * @throws when the files cannot be served at the start
 */
export function createTlsServer(settings: ServerOptions, options: TlsServerOptions): Server {
  const { files, host, wallNow, metrics, audit, log } = options;
  const first = read(files);
  const problem = problemOf(first, files);
  if (problem !== undefined) throw new Error(problem);
  const server = createServer({ ...settings, ...protocol, ...first, handshakeTimeout: handshakeTimeoutMs });
  metrics.certificateNotAfter.set({ host }, notAfter(first.cert) / 1000);

  function flawOfOther(pair: CertificatePair): string | undefined {
    const problem = problemOf(pair, files);
    if (problem !== undefined) return problem;
    const wrongTime = outOfTime(pair.cert, wallNow());
    return wrongTime && `${files.cert.file} ${wrongTime}`;
  }

  function take(pair: CertificatePair): void {
    server.setSecureContext({ ...protocol, ...pair });
    metrics.certificateNotAfter.set({ host }, notAfter(pair.cert) / 1000);
    const otherHost = notFor(pair.cert, host);
    if (otherHost !== undefined) log.warn({ problem: `${files.cert.file} ${otherHost}` }, 'browsers will refuse it');
  }

  const followed = followFiles({
    setting: 'tls',
    files: [files.cert.file, files.key.file],
    current: first,
    read: () => read(files),
    textOf: ({ cert, key }) => cert + key,
    flawOf: flawOfOther,
    take,
    counter: metrics.certificateReloads,
    audit,
  });
  server.once('close', () => followed.close());
  return server;
}

function read(files: TlsServerOptions['files']): CertificatePair {
  return { cert: readFollowed(files.cert.file), key: readFollowed(files.key.file) };
}

function problemOf(pair: CertificatePair, files: TlsServerOptions['files']): string | undefined {
  const flaw = flawOf(pair);
  return flaw && `${files[flaw.part].file} ${flaw.message}`;
}
