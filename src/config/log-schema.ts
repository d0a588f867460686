// `log`: what is written down, and how much of it.
import * as z from 'zod';

const level = z.enum(['trace', 'debug', 'info', 'warn', 'error']);

/** The parts of Postern whose lines can have a level of their own; what is none of theirs is the process's own. */
export const logModules = ['requests', 'audit', 'login', 'proxy', 'tokens', 'oidc', 'store'] as const;

export type LogModule = (typeof logModules)[number];

const levelOf = (lines: string) => level.optional().describe(lines);

export const logSection = z
  .strictObject({
    level: level.default('info').describe('The least serious lines that are written.'),
    levels: z
      .strictObject({
        requests: levelOf('The line of each request.'),
        audit: levelOf('The audit events.'),
        login: levelOf('The endpoints under basePath.'),
        proxy: levelOf('Calls to upstreams.'),
        tokens: levelOf('Sessions, refreshes and keys.'),
        oidc: levelOf('Calls to the provider.'),
        store: levelOf('Calls to the session store.'),
      } satisfies Record<LogModule, unknown>)
      .prefault({})
      .describe('The same for the lines of one module.'),
    access: z.boolean().default(true).describe('One line a request.'),
    format: z.enum(['json', 'pretty', 'auto']).default('auto').describe('auto: pretty on a terminal, JSON elsewhere.'),
  })
  .prefault({})
  .describe('What is logged. Never a token, a cookie or a query.');
