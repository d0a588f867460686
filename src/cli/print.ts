// `postern print`: the configuration in force, every default written out; with `--explain`, where each value comes from.
import { createOriginOf, formatEffective } from '../config/effective.ts';
import { loadOrReport } from './configuration.ts';
import type { Terminal } from './configuration.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';

export function print(options: { config: string; explain: boolean }, terminal: Terminal): ExitCode {
  const loaded = loadOrReport(options.config, terminal);
  if (loaded === undefined) return exitCode.configuration;
  const { config, lineOf } = loaded;
  terminal.print(formatEffective(config, options.explain ? createOriginOf(config, lineOf) : undefined));
  return exitCode.ok;
}
