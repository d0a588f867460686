// Spans, when the environment asks for them: only then is what makes them loaded.
import { randomUUID } from 'node:crypto';
import { tracingSettings } from '../config/tracing.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import type { Terminal } from './configuration.ts';

/** @param worker which of several workers this process is */
export async function tracingAskedFor(
  { env }: Pick<Terminal, 'env'>,
  log: Logger,
  worker?: number,
): Promise<Tracing | undefined> {
  const settings = tracingSettings(env);
  if (settings === undefined) return undefined;
  const { startTracing } = await import('../telemetry/tracing.ts');
  return startTracing(settings, { id: randomUUID(), worker }, log);
}
