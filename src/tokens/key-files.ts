// Session keys that stand in files are read again when these change, so that a key is replaced without a restart.
// What is not right changes nothing: the ring stays as it is, and the log says why.
import { readFileSync } from 'node:fs';
import { keyRules } from '../config/key-rules.ts';
import { formatPath } from '../config/problem.ts';
import { createReadSecret } from '../config/read-secret.ts';
import type { Config } from '../config/schema.ts';
import type { Secret } from '../config/secret.ts';
import { watchFiles } from '../config/watched-files.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { KeyRing } from './key-ring.ts';

export interface KeyFilesOptions {
  config: Pick<Config, 'session' | 'insecure'>;
  ring: KeyRing;
  metrics: Metrics;
  log: Logger;
}

type Reading = { kind: 'right'; keys: string[] } | { kind: 'wrong'; problem: string };

const pollMs = 30_000;

/** Keeps the ring as the files of `session.keys` have it, until it is closed. */
export function followKeyFiles({ config, ring, metrics, log }: KeyFilesOptions): { close(): void } {
  const { session, insecure } = config;
  const files = session.keys.flatMap((key) => fileOf(key) ?? []);
  const readSecret = createReadSecret({ readFile: (path) => readFileSync(path, 'utf8'), env: {} });
  let known = session.keys.map((key) => key.reveal());
  let told: string | undefined;

  function read(): Reading {
    try {
      const keys = session.keys.map((key) => {
        const file = fileOf(key);
        return file === undefined ? key : readSecret({ file });
      });
      const [finding] = keyRules({ draft: { session: { keys }, insecure } });
      if (finding !== undefined) return { kind: 'wrong', problem: `${formatPath(finding.path)} ${finding.message}` };
      return { kind: 'right', keys: keys.map((key) => key.reveal()) };
    } catch (error) {
      return { kind: 'wrong', problem: error instanceof Error ? error.message : String(error) };
    }
  }

  function follow(): void {
    const reading = read();
    switch (reading.kind) {
      case 'wrong':
        // Looked at again and again, and told once.
        if (reading.problem === told) return;
        told = reading.problem;
        metrics.keyReloads.inc({ outcome: 'refused' });
        log.error({ problem: told }, 'the session keys have changed and are not right: the former ones stay in use');
        return;
      case 'right':
        told = undefined;
        if (reading.keys.join() === known.join()) return;
        known = reading.keys;
        ring.replace(known);
        metrics.keyReloads.inc({ outcome: 'taken' });
        log.info({ keys: known.length, signing: ring.signing().id }, 'the session keys have changed');
    }
  }

  if (files.length === 0) return { close: () => undefined };
  const watched = watchFiles({ files, pollMs, onChange: follow });
  // Whatever has changed since the configuration was read.
  follow();
  return watched;
}

function fileOf(key: Secret): string | undefined {
  const source = key.toSource();
  return typeof source === 'object' && 'file' in source ? source.file : undefined;
}
