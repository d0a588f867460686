// Session keys that stand in files follow these, so that a key is replaced without a restart.
import { readFileSync } from 'node:fs';
import { keyRules } from '../config/key-rules.ts';
import { formatPath } from '../config/problem.ts';
import { createReadSecret } from '../config/read-secret.ts';
import type { Config } from '../config/schema.ts';
import type { Secret } from '../config/secret.ts';
import type { Audit } from '../telemetry/audit.ts';
import { followFiles } from '../telemetry/followed-files.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { KeyRing } from './key-ring.ts';

export interface KeyFilesOptions {
  config: Pick<Config, 'session' | 'insecure'>;
  ring: KeyRing;
  metrics: Metrics;
  audit: Audit;
}

/** Keeps the ring as the files of `session.keys` have it, until it is closed. */
export function followKeyFiles({ config, ring, metrics, audit }: KeyFilesOptions): { close(): void } {
  const { session, insecure } = config;
  const readSecret = createReadSecret({ readFile: (path) => readFileSync(path, 'utf8'), env: {} });
  const textsOf = (keys: readonly Secret[]): string[] => keys.map((key) => key.reveal());
  return followFiles<readonly Secret[]>({
    setting: 'session.keys',
    files: session.keys.flatMap((key) => fileOf(key) ?? []),
    current: session.keys,
    read: () =>
      session.keys.map((key) => {
        const file = fileOf(key);
        return file === undefined ? key : readSecret({ file });
      }),
    textOf: (keys) => textsOf(keys).join(),
    flawOf(keys) {
      const [finding] = keyRules({ draft: { session: { keys: [...keys] }, insecure } });
      return finding && `${formatPath(finding.path)} ${finding.message}`;
    },
    take: (keys) => ring.replace(textsOf(keys)),
    counter: metrics.keyReloads,
    audit,
  });
}

function fileOf(key: Secret): string | undefined {
  const source = key.toSource();
  return typeof source === 'object' && 'file' in source ? source.file : undefined;
}
