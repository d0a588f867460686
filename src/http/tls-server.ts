// TLS of our own, for those with nothing in front that ends it (RFC 9325). The certificate follows its files: connections stay, new ones get the new one,
// and what cannot be served changes nothing.
import { readFileSync } from 'node:fs';
import type { ServerOptions } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import { flawOf, notAfter, notFor, outOfTime } from '../config/certificate.ts';
import type { CertificatePair } from '../config/certificate.ts';
import { reasonFor } from '../config/read-secret.ts';
import type { Config } from '../config/schema.ts';
import { watchFiles } from '../config/watched-files.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface TlsServerOptions {
  files: NonNullable<Config['tls']>;
  /** The host that browsers know, whatever the certificate says. */
  host: string;
  /** Epoch ms. */
  wallNow: () => number;
  metrics: Metrics;
  log: Logger;
}

type Reading = { kind: 'right'; pair: CertificatePair } | { kind: 'wrong'; problem: string };

const pollMs = 30_000;
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
  const { files, host, wallNow, metrics, log } = options;
  const first = read(files);
  if (first.kind === 'wrong') throw new Error(first.problem);
  const server = createServer({ ...settings, ...protocol, ...first.pair, handshakeTimeout: handshakeTimeoutMs });
  let current = first.pair;
  let told: string | undefined;
  metrics.certificateNotAfter.set({ host }, notAfter(current.cert) / 1000);

  function look(): Reading {
    const reading = read(files);
    if (reading.kind === 'wrong' || isSame(reading.pair, current)) return reading;
    const wrongTime = outOfTime(reading.pair.cert, wallNow());
    return wrongTime === undefined ? reading : { kind: 'wrong', problem: `${files.cert.file} ${wrongTime}` };
  }

  function follow(): void {
    const reading = look();
    switch (reading.kind) {
      case 'wrong':
        // Looked at again and again, and told once.
        if (reading.problem === told) return;
        told = reading.problem;
        metrics.certificateReloads.inc({ outcome: 'refused' });
        log.error({ problem: told }, 'the certificate has changed and is not right: the former one stays in use');
        return;
      case 'right':
        told = undefined;
        if (!isSame(reading.pair, current)) take(reading.pair);
    }
  }

  function take(pair: CertificatePair): void {
    current = pair;
    server.setSecureContext({ ...protocol, ...pair });
    metrics.certificateNotAfter.set({ host }, notAfter(pair.cert) / 1000);
    metrics.certificateReloads.inc({ outcome: 'taken' });
    log.info({ notAfter: new Date(notAfter(pair.cert)).toISOString() }, 'the certificate has changed');
    const otherHost = notFor(pair.cert, host);
    if (otherHost !== undefined) log.warn({ problem: `${files.cert.file} ${otherHost}` }, 'browsers will refuse it');
  }

  const watched = watchFiles({ files: [files.cert.file, files.key.file], pollMs, onChange: follow });
  server.once('close', () => watched.close());
  return server;
}

function isSame(one: CertificatePair, other: CertificatePair): boolean {
  return one.cert === other.cert && one.key === other.key;
}

function read(files: TlsServerOptions['files']): Reading {
  const pair: CertificatePair = { cert: '', key: '' };
  for (const part of ['cert', 'key'] as const) {
    try {
      pair[part] = readFileSync(files[part].file, 'utf8');
    } catch (error) {
      return { kind: 'wrong', problem: `${files[part].file} cannot be read: ${reasonFor(error)}` };
    }
  }
  const flaw = flawOf(pair);
  return flaw === undefined
    ? { kind: 'right', pair }
    : { kind: 'wrong', problem: `${files[flaw.part].file} ${flaw.message}` };
}
