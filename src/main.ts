#!/usr/bin/env node
// The process: refuses an unsafe Node, understands the arguments, runs one command, ends with its exit code.
import { readFileSync } from 'node:fs';
import { parseCommandLine } from './cli/command-line.ts';
import type { CommandLine } from './cli/command-line.ts';
import { helpFor, overview } from './cli/commands.ts';
import type { Terminal } from './cli/configuration.ts';
import { exitCode } from './cli/exit-code.ts';
import { refusalOf } from './cli/node-version.ts';
import type { Signals } from './cli/signals.ts';

const terminal: Terminal = {
  print: (text) => void process.stdout.write(text),
  report: (line) => void process.stderr.write(`${line}\n`),
  readFile: (path) => readFileSync(path, 'utf8'),
  env: process.env,
  now: Date.now,
};

// `postern schema | head` closes the pipe early: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const refusal = refusalOf(process.versions.node);
if (refusal === undefined) {
  process.exitCode = await run(parseCommandLine(process.argv.slice(2))).catch(reportFailure);
} else {
  terminal.report(`postern: ${refusal}`);
  process.exitCode = exitCode.failed;
}

async function run(commandLine: CommandLine): Promise<number> {
  switch (commandLine.kind) {
    case 'help':
      terminal.print(commandLine.command === undefined ? overview() : helpFor(commandLine.command));
      return exitCode.ok;
    case 'version':
      terminal.print(`${version()}\n`);
      return exitCode.ok;
    case 'mistake':
      terminal.report(`postern: ${commandLine.message}`);
      terminal.report(`usage: ${commandLine.usage}`);
      return exitCode.usage;
    case 'run':
      return runCommand(commandLine);
  }
}

// Each command brings its own imports, so that `check` does not load a proxy, and an old Node is refused before it meets code it cannot read.
async function runCommand({ command, options, operands }: Extract<CommandLine, { kind: 'run' }>): Promise<number> {
  switch (command) {
    case 'serve':
      return serve(options);
    case 'check':
      return (await import('./cli/check.ts')).check(options, terminal);
    case 'print':
      return (await import('./cli/print.ts')).print(options, terminal);
    case 'schema':
      return (await import('./cli/schema.ts')).schema(options, terminal);
    case 'route': {
      const [method = '', target = ''] = operands;
      return (await import('./cli/route.ts')).route({ method, target }, options, terminal);
    }
    case 'doctor':
      return (await import('./cli/doctor.ts')).doctor(options, terminal);
    case 'sessions': {
      const action = operands[0] === 'end' ? 'end' : 'list';
      const { sub = '' } = options;
      return (await import('./cli/sessions.ts')).sessions(action, { ...options, sub }, { ...terminal, fetch });
    }
  }
}

async function serve(options: { config: string }): Promise<number> {
  // First of all: a signal that comes while the rest is loaded must not end the process on the spot.
  const told = signals();
  const { isWorker } = await import('./cli/cluster.ts');
  if (isWorker) return (await import('./cli/worker.ts')).work(options, terminal, told.stop);
  const { loadWithWarnings } = await import('./cli/configuration.ts');
  const loaded = loadWithWarnings(options.config, terminal);
  if (loaded === undefined) return exitCode.configuration;
  const { serveWithWorkers, workerCount } = await import('./cli/workers.ts');
  const count = workerCount(loaded.config);
  if (count > 1) return serveWithWorkers(loaded, { ...options, count }, terminal, told);
  const { serve } = await import('./cli/serve.ts');
  await serve(loaded, options, terminal, told);
  return exitCode.ok;
}

// The first signal to stop ends politely; a second one finds no handler any more, and ends at once. SIGHUP ends nothing, so that it can be sent at any moment,
// and to all processes: a worker leaves it to the first one.
function signals(): Signals {
  const stop = new AbortController();
  const end = (signal: NodeJS.Signals): void => {
    process.off('SIGTERM', end).off('SIGINT', end);
    stop.abort(signal);
  };
  process.on('SIGTERM', end).on('SIGINT', end);
  // Left to Node, it would open a debugger, and with it the memory that holds the tokens.
  process.on('SIGUSR1', () => undefined);
  let askedEarly = false;
  let reload = (): void => void (askedEarly = true);
  process.on('SIGHUP', () => reload());
  return {
    stop: stop.signal,
    onReload(listener) {
      reload = listener;
      if (askedEarly) reload();
    },
  };
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

// A port in use or an address that is not ours is an operator's business and gets one line; anything else is a bug, and its stack helps.
function reportFailure(error: unknown): never {
  const isSystem = error instanceof Error && 'code' in error;
  terminal.report(
    `postern: ${isSystem ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
  );
  // What was begun, such as a connection to the store, would keep the process.
  process.exit(exitCode.failed);
}
