// `postern schema`: the JSON Schema that editors check and complete the configuration with, or the same as a page to read.
import { formatJsonSchema } from '../config/json-schema.ts';
import { formatReference } from '../config/reference.ts';
import type { Terminal } from './configuration.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';

export function schema(options: { markdown: boolean }, terminal: Terminal): ExitCode {
  terminal.print(options.markdown ? formatReference() : formatJsonSchema());
  return exitCode.ok;
}
