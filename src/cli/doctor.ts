// `postern doctor`: what this provider and this store support, and what that means for this configuration. It changes nothing.
import { formatReport } from '../doctor/report-text.ts';
import { loadOrReport } from './configuration.ts';
import type { Terminal } from './configuration.ts';
import { examine } from './examine.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';

export async function doctor(options: { config: string; json: boolean }, terminal: Terminal): Promise<ExitCode> {
  const loaded = loadOrReport(options.config, terminal);
  if (loaded === undefined) return exitCode.configuration;
  const report = await examine(options.config, loaded, terminal);
  terminal.print(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : formatReport(report));
  return report.ok ? exitCode.ok : exitCode.failed;
}
