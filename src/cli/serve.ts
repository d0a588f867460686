// `postern serve` in one process: runs until it is told to end.
import { createApp } from '../app.ts';
import type { App } from '../app.ts';
import type { Config } from '../config/schema.ts';
import { startServer } from '../server.ts';
import { createLogger } from '../telemetry/log.ts';
import type { Logger } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { followKeyFiles } from '../tokens/key-files.ts';
import { createKeyRing } from '../tokens/key-ring.ts';
import { graceMs, untilAborted } from './stop.ts';

/**
 * Starts Postern. Resolves once it is told to end by `stop` and has drained.
 *
 * @throws when it cannot listen
 */
export async function serve(config: Config, stop: AbortSignal): Promise<void> {
  const log = createLogger(config.log);
  const { app, keyFiles, metrics } = assemble(config, log);
  const server = await startServer({ config, app, metrics, log, monotonicNow: () => performance.now() });
  await untilAborted(stop);
  log.info('draining');
  await server.drain(graceMs);
  keyFiles.close();
  log.info('ended');
}

/** All of a process but its listeners. `keyFiles` is closed after the app. */
export function assemble(config: Config, log: Logger): { app: App; keyFiles: { close(): void }; metrics: Metrics } {
  const metrics = createMetrics();
  const ring = createKeyRing({ keys: config.session.keys.map((key) => key.reveal()), now: () => performance.now() });
  const keyFiles = followKeyFiles({ config, ring, metrics, log });
  return { app: createApp({ config, ring, metrics, log }), keyFiles, metrics };
}
