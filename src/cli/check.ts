// `postern check`: says what `serve` would say about the configuration, and does not start.
import { describeKeys } from '../config/explain.ts';
import { loadWithWarnings } from './configuration.ts';
import type { Terminal } from './configuration.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';

export function check(options: { config: string }, terminal: Terminal): ExitCode {
  const loaded = loadWithWarnings(options.config, terminal);
  if (loaded === undefined) return exitCode.configuration;
  terminal.print(`${options.config}: the configuration is valid\n`);
  describeKeys(loaded.config).forEach((line) => terminal.print(`${line}\n`));
  return exitCode.ok;
}
