// What listens, how many processes do, how they stop, and what browsers must not reach. What contradicts itself there is in rules.ts and tls-rules.ts.
import * as z from 'zod';
import { listenAddress, pause, timeLimit } from './values.ts';
import type { machinePath, secretValue } from './values.ts';

const mostWorkers = 128;

export const workerCount = z.union([z.int().min(1).max(mostWorkers), z.literal('auto')], {
  error: `a whole number from 1 to ${mostWorkers}, or auto`,
});

export function tlsSection(path: ReturnType<typeof machinePath>) {
  return z.strictObject({
    cert: z.strictObject({
      file: path.describe('PEM file with the server’s certificate first, then those that lead to its authority.'),
    }),
    key: z.strictObject({ file: path.describe('PEM file with its private key, without a passphrase.') }),
  });
}

export const shutdownSection = z.strictObject({
  delay: pause
    .prefault('5s')
    .describe('How long a process serves on after SIGTERM, with /readyz at 503, until nobody sends it anything new.'),
  grace: timeLimit.prefault('30s').describe('How long requests and refreshes under way may take after that.'),
});

export function operationsSection(secret: ReturnType<typeof secretValue>) {
  return z.strictObject({
    listen: listenAddress
      .prefault('127.0.0.1:9090')
      .describe('Where /livez, /readyz and /metrics are. Never the public listener.'),
    admin: z
      .strictObject({
        token: secret.describe('What /admin/sessions asks for as the Bearer token: at least 32 characters.'),
      })
      .optional()
      .describe('Switches /admin/sessions on: find the sessions of a user, end them.'),
  });
}
