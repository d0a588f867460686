// What every command with `--config` does first: load, and say on stderr what is wrong or worth knowing, one line each.
import { loadConfig } from '../config/load.ts';
import type { LoadOutcome } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { Outside } from '../config/read-secret.ts';

/** What a command may touch. `print` writes to stdout, `report` one line to stderr. */
export interface Terminal extends Outside {
  print: (text: string) => void;
  report: (line: string) => void;
}

export type LoadedConfig = Extract<LoadOutcome, { kind: 'ok' }>;

/** The configuration, or undefined after its problems were reported. */
export function loadOrReport(path: string, terminal: Terminal): LoadedConfig | undefined {
  const outcome = loadConfig({ path, readFile: terminal.readFile, env: terminal.env, now: terminal.now });
  switch (outcome.kind) {
    case 'ok':
      return outcome;
    case 'invalid':
      outcome.problems.forEach((problem) => terminal.report(formatProblem(problem)));
      return undefined;
  }
}

/** The same, for the commands that are about the file as a whole: its warnings are reported too. */
export function loadWithWarnings(path: string, terminal: Terminal): LoadedConfig | undefined {
  const loaded = loadOrReport(path, terminal);
  loaded?.warnings.forEach((warning) => terminal.report(formatProblem(warning, 'warning')));
  return loaded;
}
