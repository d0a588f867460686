// One of several workers: the public listeners, without the operations listener, which is the first process's.
import { setTimeout as pause } from 'node:timers/promises';
import { startPublicListeners } from '../server.ts';
import { createLogger } from '../telemetry/log.ts';
import { joinFirstProcess } from './cluster.ts';
import { loadOrReport } from './configuration.ts';
import type { Terminal } from './configuration.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';
import { pollMs, readAgain } from './reload.ts';
import { assemble } from './serve.ts';
import { endingOf, untilAborted } from './signals.ts';
import { tracingAskedFor } from './tracing.ts';
import { createWorkerReloads } from './worker-reload.ts';

/** Serves until it is told to end, by `stop` or by the first process, and has drained. */
export async function work(options: { config: string }, terminal: Terminal, stop: AbortSignal): Promise<ExitCode> {
  const first = await joinFirstProcess();
  const { number } = first.order;
  const outsideWith = (text: string): Terminal => ({
    ...terminal,
    readFile: (path) => (path === options.config ? text : terminal.readFile(path)),
  });
  const loaded = loadOrReport(options.config, outsideWith(first.order.text));
  if (loaded === undefined) return exitCode.configuration;

  const { config } = loaded;
  const log = createLogger(config.log).child({ worker: number });
  const tracing = await tracingAskedFor(terminal, log, number);
  const assembly = assemble(config, log, tracing);
  const { parts, metrics } = assembly;
  const reloads = createWorkerReloads({ takeOver, retryMs: pollMs, audit: parts.audit });
  const ending = AbortSignal.any([stop, first.drain]);
  first.answerFrom({
    health: () => ({
      ready: !ending.aborted && parts.started(),
      parts: { ...parts.states(), configuration: reloads.state() },
    }),
    figures: () => metrics.registry.getMetricsAsJSON(),
  });
  const generation = assembly.generation();
  const monotonicNow = (): number => performance.now();
  const listeners = await startPublicListeners({ generation, parts, metrics, log, monotonicNow });
  first.onReload(reloads.follow);
  first.listening(listeners);

  function takeOver(text: string): string[] {
    const reading = readAgain(assembly.generation().config, { path: options.config, ...outsideWith(text) });
    if (reading.kind === 'wrong') return reading.problems;
    try {
      listeners.take(assembly.follow(reading.loaded.config));
      return [];
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  }

  await untilAborted(ending);
  reloads.close();
  const { delayMs, graceMs } = endingOf(ending, assembly.generation().config);
  listeners.leave();
  await pause(delayMs);
  await listeners.drain(graceMs);
  assembly.close();
  await tracing?.close();
  first.leave();
  return exitCode.ok;
}
