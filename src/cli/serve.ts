// `postern serve` in one process: runs until it is told to end.
import { setTimeout as pause } from 'node:timers/promises';
import { createGeneration } from '../app.ts';
import type { Generation } from '../app.ts';
import type { Config } from '../config/schema.ts';
import { createParts } from '../parts.ts';
import type { Parts } from '../parts.ts';
import { startServer } from '../server.ts';
import { createLogger } from '../telemetry/log.ts';
import type { Logger } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { followKeyFiles } from '../tokens/key-files.ts';
import { createKeyRing } from '../tokens/key-ring.ts';
import type { LoadedConfig, Terminal } from './configuration.ts';
import { followConfiguration } from './reload.ts';
import { endingOf, untilAborted } from './signals.ts';
import type { Signals } from './signals.ts';
import { tracingAskedFor } from './tracing.ts';

/**
 * Starts Postern. Resolves once it is told to end and has drained.
 *
 * @param options.config where `loaded` was read
 * @throws when it cannot listen
 */
export async function serve(
  loaded: LoadedConfig,
  options: { config: string },
  terminal: Terminal,
  { stop, onReload }: Signals,
): Promise<void> {
  const log = createLogger(loaded.config.log);
  const tracing = await tracingAskedFor(terminal, log);
  const assembly = assemble(loaded.config, log, tracing);
  const { parts, metrics } = assembly;
  const server = await startServer({
    generation: assembly.generation(),
    parts,
    // Nobody asks before the next turn of the event loop, and then they are there.
    states: () => ({ ...parts.states(), configuration: reloads.state() }),
    metrics,
    log,
    monotonicNow: () => performance.now(),
  });
  const reloads = followConfiguration({
    ...terminal,
    path: options.config,
    loaded,
    take: ({ config }) => server.take(assembly.follow(config)),
    metrics,
    audit: parts.audit,
    log,
  });
  onReload(reloads.reload);
  await untilAborted(stop);
  reloads.close();
  const { delayMs, graceMs } = endingOf(stop, assembly.generation().config);
  log.info({ delayMs, graceMs }, 'draining');
  server.leave();
  await pause(delayMs);
  await server.drain(graceMs);
  assembly.close();
  await tracing?.close();
  log.info('ended');
}

/** All of a process but its listeners. */
export interface Assembly {
  parts: Parts;
  metrics: Metrics;
  /** The one in force. */
  generation(): Generation;
  /** Goes by another configuration, whose fixed keys are the same: gives its generation. When it throws, nothing has changed. */
  follow(config: Config): Generation;
  /** After the parts. */
  close(): void;
}

export function assemble(config: Config, log: Logger, tracing?: Tracing): Assembly {
  const metrics = createMetrics();
  const ring = createKeyRing({ keys: config.session.keys.map((key) => key.reveal()), now: () => performance.now() });
  const parts = createParts({ config, ring, tracing, metrics, log });
  const { audit } = parts;
  let keyFiles = followKeyFiles({ config, ring, metrics, audit });
  let generation = createGeneration(config, parts);

  function generationOf(config: Config): Generation {
    try {
      const next = createGeneration(config, parts);
      parts.follow(config);
      return next;
    } catch (error) {
      parts.forgo();
      throw error;
    }
  }

  return {
    parts,
    metrics,
    generation: () => generation,
    follow(config) {
      const next = generationOf(config);
      keyFiles.close();
      keyFiles = followKeyFiles({ config, ring, metrics, audit });
      generation = next;
      return generation;
    },
    close: () => keyFiles.close(),
  };
}
