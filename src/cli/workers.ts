// `postern serve` with more than one worker. This process never sees a request of a browser's: it keeps the workers and answers operators for all of them.
import { availableParallelism } from 'node:os';
import type { Config } from '../config/schema.ts';
import { startOperations } from '../http/health.ts';
import { handleOf } from '../session/handles.ts';
import { createAudit } from '../telemetry/audit.ts';
import { createLogger, moduleLog, setLevels } from '../telemetry/log.ts';
import { createMetrics, expositionOf } from '../telemetry/metrics.ts';
import { attemptDeadlineMs } from '../tokens/attempts.ts';
import type { LoadedConfig, Terminal } from './configuration.ts';
import { shareMemory } from './cluster.ts';
import { createCrew } from './crew.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';
import { followConfiguration } from './reload.ts';
import type { Reloads } from './reload.ts';
import { endingOf, untilAborted } from './signals.ts';
import type { Signals } from './signals.ts';
import { tracingAskedFor } from './tracing.ts';

/** What a worker gets beyond the grace that it gives its requests, before it is killed. */
const endingMs = attemptDeadlineMs + 5_000;

/** How many workers a configuration asks for on this machine, in this container. */
export function workerCount({ workers }: Pick<Config, 'workers'>): number {
  return workers === 'auto' ? availableParallelism() : workers;
}

/** Runs `count` workers until `stop`, and until all have drained. `failed` when none could start, or one had to be killed. */
export async function serveWithWorkers(
  loaded: LoadedConfig,
  options: { config: string; count: number },
  terminal: Terminal,
  { stop, onReload }: Signals,
): Promise<ExitCode> {
  const { count } = options;
  let { config } = loaded;
  const log = createLogger(config.log);
  setLevels(log, config.log);
  const audit = createAudit({ log: moduleLog(log, 'audit'), handleOf });
  // An operator who ends sessions is answered here, by an app that no browser reaches. Without one this process needs none of its code.
  const tracing = config.operations.admin && (await tracingAskedFor(terminal, log));
  const office = config.operations.admin && (await import('./serve.ts')).assemble(config, log, tracing);
  const metrics = office?.metrics ?? createMetrics();
  shareMemory(count);
  const crew = createCrew({ count, text: loaded.text, metrics, log, monotonicNow: () => performance.now() });
  let reloads: Reloads | undefined;
  let draining = false;
  const operations = await startOperations(config.operations.listen, {
    health: async () => {
      const { ready, parts } = await crew.health();
      const configuration = reloads?.state() === 'down' ? 'down' : (parts['configuration'] ?? 'up');
      return { ready: ready && !draining, parts: { ...parts, configuration } };
    },
    exposition: async () => expositionOf([await metrics.registry.getMetricsAsJSON(), ...(await crew.figures())]),
    metrics,
    admin: office && ((request, response) => office.generation().admin?.(request, response)),
  });

  const addresses = await crew.start();
  if (addresses !== undefined) {
    const { publicAddress: listen, forwardAuthAddress: forwardAuth } = addresses;
    reloads = followConfiguration({
      ...terminal,
      path: options.config,
      loaded,
      take(next) {
        office?.follow(next.config);
        crew.reload(next.text);
        config = next.config;
        setLevels(log, config.log);
      },
      metrics,
      audit,
      log,
    });
    onReload(reloads.reload);
    const { publicUrl } = config;
    log.info({ publicUrl, listen, operations: operations.address, forwardAuth, workers: count }, 'listening');
    await untilAborted(stop);
  }
  draining = true;
  reloads?.close();
  const { delayMs, graceMs } = endingOf(stop, config);
  if (addresses !== undefined) log.info({ delayMs, graceMs }, 'draining');
  const inOrder = await crew.drain(String(stop.reason), delayMs + graceMs + endingMs);
  await office?.parts.close();
  office?.close();
  await operations.close();
  await tracing?.close();
  log.info('ended');
  return addresses !== undefined && inOrder ? exitCode.ok : exitCode.failed;
}
