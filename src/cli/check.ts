// `postern check`: says what `serve` would say about the configuration, and does not start. With --online, also what would not work once it has started.
import { describeKeys } from '../config/explain.ts';
import { loadWithWarnings } from './configuration.ts';
import type { LoadedConfig, Terminal } from './configuration.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';

export async function check(options: { config: string; online: boolean }, terminal: Terminal): Promise<ExitCode> {
  const loaded = loadWithWarnings(options.config, terminal);
  if (loaded === undefined) return exitCode.configuration;
  terminal.print(`${options.config}: the configuration is valid\n`);
  describeKeys(loaded.config).forEach((line) => terminal.print(`${line}\n`));
  return options.online ? checkOnline(options.config, loaded, terminal) : exitCode.ok;
}

// Imported on demand: `check` alone loads neither a provider's nor a store's library.
async function checkOnline(file: string, loaded: LoadedConfig, terminal: Terminal): Promise<ExitCode> {
  const { examine } = await import('./examine.ts');
  const { failureLines } = await import('../doctor/report-text.ts');
  const report = await examine(file, loaded, terminal);
  failureLines(report).forEach((line) => terminal.report(`${file}: ${line}`));
  if (!report.ok) return exitCode.failed;
  terminal.print(`${file}: the provider and the store work with it\n`);
  return exitCode.ok;
}
