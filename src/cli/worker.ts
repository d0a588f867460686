// One of several workers: the public listeners, without the operations listener, which is the first process's.
import { startPublicListeners } from '../server.ts';
import { createLogger } from '../telemetry/log.ts';
import { joinFirstProcess } from './cluster.ts';
import { loadOrReport } from './configuration.ts';
import type { Terminal } from './configuration.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';
import { assemble } from './serve.ts';
import { graceMs, untilAborted } from './stop.ts';

/** Serves until it is told to end, by `stop` or by the first process, and has drained. */
export async function work(options: { config: string }, terminal: Terminal, stop: AbortSignal): Promise<ExitCode> {
  const first = await joinFirstProcess();
  const { number, text } = first.order;
  const readFile = (path: string): string => (path === options.config ? text : terminal.readFile(path));
  const loaded = loadOrReport(options.config, { ...terminal, readFile });
  if (loaded === undefined) return exitCode.configuration;

  const { config } = loaded;
  const log = createLogger(config.log).child({ worker: number });
  const { app, keyFiles, metrics } = assemble(config, log);
  const ending = AbortSignal.any([stop, first.drain]);
  first.answerFrom({
    health: () => ({ ready: !ending.aborted && app.started(), parts: app.parts() }),
    figures: () => metrics.registry.getMetricsAsJSON(),
  });
  const listeners = await startPublicListeners({ config, app, metrics, log, monotonicNow: () => performance.now() });
  first.listening(listeners);
  await untilAborted(ending);
  await listeners.drain(graceMs);
  keyFiles.close();
  first.leave();
  return exitCode.ok;
}
