// Structured logs (pino). Secrets never get this far: what is logged is listed field by field at each call, and never a header, a query or a token.
import pino from 'pino';
import { logModules } from '../config/log-schema.ts';
import type { LogModule } from '../config/log-schema.ts';
import type { Config } from '../config/schema.ts';
import { prettyLine } from './pretty.ts';

export type Logger = pino.Logger;

/** A logger that writes to stdout, or to `destination` in tests; for people when the configuration says so, or by itself on a terminal. */
export function createLogger(options: Omit<Config['log'], 'levels'>, destination?: pino.DestinationStream): Logger {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
    serializers: { err: serializeError },
  };
  const target = destination ?? process.stdout;
  const isForPeople =
    options.format === 'pretty' || (options.format === 'auto' && target === process.stdout && process.stdout.isTTY);
  return pino(
    settings,
    isForPeople ? { write: (line) => void target.write(prettyLine(line)) } : (destination ?? pino.destination(1)),
  );
}

const modulesOf = new WeakMap<Logger, Map<LogModule, Logger>>();

/** The logger of one module: the same one each time, so that its level can be changed while it is in use. */
export function moduleLog(log: Logger, module: LogModule): Logger {
  const modules = modulesOf.get(log) ?? new Map<LogModule, Logger>();
  modulesOf.set(log, modules);
  const known = modules.get(module) ?? log.child({ module });
  modules.set(module, known);
  return known;
}

/** Sets the level of a logger and of its modules. */
export function setLevels(log: Logger, { level, levels }: Pick<Config['log'], 'level' | 'levels'>): void {
  log.level = level;
  for (const module of logModules) moduleLog(log, module).level = levels[module] ?? level;
}

interface LoggedError {
  type: string;
  message: string;
  code?: string;
  cause?: LoggedError;
}

// Messages and codes only: stacks and the own properties of library errors can hold requests, responses and with them tokens.
function serializeError(error: unknown): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an Error' };
  const logged: LoggedError = { type: error.name, message: error.message };
  if ('code' in error && typeof error.code === 'string') logged.code = error.code;
  if (error.cause !== undefined) logged.cause = serializeError(error.cause);
  return logged;
}
