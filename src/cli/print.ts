// `postern print`: the configuration in force, every default written out; with `--explain`, where each value comes from.
import { createOriginOf, formatEffective } from '../config/effective.ts';
import { remarkOn } from '../config/explain.ts';
import type { Path } from '../config/problem.ts';
import { loadOrReport } from './configuration.ts';
import type { LoadedConfig, Terminal } from './configuration.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';

export function print(options: { config: string; explain: boolean }, terminal: Terminal): ExitCode {
  const loaded = loadOrReport(options.config, terminal);
  if (loaded === undefined) return exitCode.configuration;
  terminal.print(formatEffective(loaded.config, options.explain ? createExplanationOf(loaded) : undefined));
  return exitCode.ok;
}

function createExplanationOf({ config, lineOf }: LoadedConfig): (path: Path) => string {
  const originOf = createOriginOf(config, lineOf);
  return (path) => [originOf(path), remarkOn(config, path) ?? []].flat().join('; ');
}
