// `postern check`: says what `serve` would say about the configuration, and does not start.
import { loadWithWarnings } from './configuration.ts';
import type { Terminal } from './configuration.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';

export function check(options: { config: string }, terminal: Terminal): ExitCode {
  if (loadWithWarnings(options.config, terminal) === undefined) return exitCode.configuration;
  terminal.print(`${options.config}: the configuration is valid\n`);
  return exitCode.ok;
}
