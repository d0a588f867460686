// Structured logs (pino). Secrets never get this far: what is logged is listed field by field at each call, and never a header, a query or a token.
import pino from 'pino';
import type { Config } from '../config/schema.ts';
import { prettyLine } from './pretty.ts';

export type Logger = pino.Logger;

/** A logger that writes to stdout, or to `destination` in tests; for people when the configuration says so, or by itself on a terminal. */
export function createLogger(options: Config['log'], destination?: pino.DestinationStream): Logger {
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
