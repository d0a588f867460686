// `postern serve`: runs until it is told to end.
import { createApp } from '../app.ts';
import type { Config } from '../config/schema.ts';
import { startServer } from '../server.ts';
import { createLogger } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { followKeyFiles } from '../tokens/key-files.ts';
import { createKeyRing } from '../tokens/key-ring.ts';

/** How long requests and refreshes under way may take once the process was told to end. */
const graceMs = 30_000;

/**
 * Starts Postern. Resolves once it is told to end by `stop` and has drained.
 *
 * @throws when it cannot listen
 */
export async function serve(config: Config, stop: AbortSignal): Promise<void> {
  const log = createLogger(config.log);
  const metrics = createMetrics();
  const monotonicNow = (): number => performance.now();
  const ring = createKeyRing({ keys: config.session.keys.map((key) => key.reveal()), now: monotonicNow });
  const keyFiles = followKeyFiles({ config, ring, metrics, log });
  const app = createApp({ config, ring, metrics, log });
  const server = await startServer({ config, app, metrics, log, monotonicNow });
  if (!stop.aborted) {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    stop.addEventListener('abort', () => resolve(undefined), { once: true });
    await promise;
  }
  log.info('draining');
  await server.drain(graceMs);
  keyFiles.close();
  log.info('ended');
}
