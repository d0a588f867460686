// The configuration is read again on SIGHUP and when its files change. It is taken over whole, or not at all: then the former one stays in force.
import { changedFixedKeys, changedKeys } from '../config/fixed-keys.ts';
import { loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { Outside } from '../config/read-secret.ts';
import type { Config } from '../config/schema.ts';
import { changedFiles, contentOf, filesOf } from '../config/watched-config.ts';
import { watchFiles } from '../config/watched-files.ts';
import type { Audit } from '../telemetry/audit.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { LoadedConfig } from './configuration.ts';

export interface ReloadsOptions extends Outside {
  path: string;
  /** What is in force at the start. */
  loaded: LoadedConfig;
  /** Puts another configuration in force. When it throws, the former one still is. */
  take: (loaded: LoadedConfig) => void;
  metrics: Pick<Metrics, 'configReloads' | 'configReloadedAt'>;
  audit: Audit;
  log: Logger;
}

export interface Reloads {
  /** `down`: what stands in the files is not in force. */
  state: () => 'up' | 'down';
  /** Reads everything again, changed or not, and says what came of it. */
  reload: () => void;
  close: () => void;
}

export type Reading = { kind: 'right'; loaded: LoadedConfig } | { kind: 'wrong'; problems: string[] };

/** How often what could not be taken over is tried again, and files are looked at where the system tells nothing of changes. */
export const pollMs = 30_000;

/** Follows the files of a configuration until it is closed. */
export function followConfiguration(options: ReloadsOptions): Reloads {
  const { path, take, readFile, metrics, audit, log } = options;
  let current = options.loaded.config;
  let files = [path, ...filesOf(current)];
  /** At the last reading, and at the last that is in force. */
  let seen = contentOf(files, (file) => (file === path ? options.loaded.text : readFile(file)));
  let inForce = seen;
  /** Why the files are not in force. */
  let told: string | undefined;
  let watched = watch();
  metrics.configReloadedAt.set(options.now() / 1000);
  // Whatever has changed since it was loaded.
  look();

  function watch(): { close(): void } {
    return watchFiles({ files, pollMs, onChange: look });
  }

  function look(): void {
    // What is wrong may be a file that nobody knows yet, so it is all read again until it is right.
    if (changedFiles(seen, contentOf(files, readFile)).length > 0 || told !== undefined) reload('changed');
  }

  function reload(why: 'asked' | 'changed'): void {
    // Before the reading: what changes meanwhile is seen as a change later on.
    seen = contentOf(files, readFile);
    const reading = readAgain(current, options);
    const problems = reading.kind === 'wrong' ? reading.problems : takeOver(reading.loaded);
    if (problems.length === 0) return;
    const saying = problems.join('\n');
    if (why === 'changed' && saying === told) return;
    told = saying;
    metrics.configReloads.inc({ outcome: 'refused' });
    audit('configuration_refused', { problems });
  }

  function takeOver(loaded: LoadedConfig): string[] {
    try {
      take(loaded);
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
    const changed = { changed: changedKeys(current, loaded.config), files: changedFiles(inForce, seen) };
    current = loaded.config;
    told = undefined;
    watched.close();
    const before = files;
    files = [path, ...filesOf(current)];
    if (files.join() !== before.join()) seen = contentOf(files, readFile);
    inForce = seen;
    watched = watch();
    metrics.configReloads.inc({ outcome: 'taken' });
    metrics.configReloadedAt.set(options.now() / 1000);
    audit('configuration_reloaded', changed);
    const warnings = loaded.warnings.map((warning) => formatProblem(warning, 'warning'));
    if (warnings.length > 0) log.warn({ warnings }, 'the configuration has warnings');
    return [];
  }

  return {
    state: () => (told === undefined ? 'up' : 'down'),
    reload: () => reload('asked'),
    close: () => watched.close(),
  };
}

/** Reads the configuration for a process that runs by `current`: right only if it can be taken over without a restart. */
export function readAgain(current: Config, { path, ...outside }: { path: string } & Outside): Reading {
  const outcome = loadConfig({ path, readFile: outside.readFile, env: outside.env, now: outside.now });
  if (outcome.kind === 'invalid')
    return { kind: 'wrong', problems: outcome.problems.map((problem) => formatProblem(problem)) };
  const fixed = changedFixedKeys(current, outcome.config);
  if (fixed.length === 0) return { kind: 'right', loaded: outcome };
  return {
    kind: 'wrong',
    problems: fixed.map((key) => `${path}: ${key} cannot change while Postern runs: it needs a restart`),
  };
}
