// What a running process cannot change: where it listens, where sessions are, and what those who are signed in were promised.
// Everything else of the configuration is taken over by a reload.
import type { Config } from './schema.ts';
import { Secret } from './secret.ts';

/** Keys that need a restart, as they are written in the file; a section stands for all that is in it. */
export const fixedKeys = [
  'publicUrl',
  'basePath',
  'listen',
  'tls',
  'workers',
  'operations.listen',
  'forwardAuth',
  'provider.issuer',
  'provider.clientId',
  'session.idleTimeout',
  'session.absoluteTimeout',
  'session.refreshBefore',
  'session.nearCache',
  'redis',
  'cookie',
  'limits.headers',
  'limits.streams',
  'limits.websockets',
  'limits.websocketsPerSession',
  'log.format',
] as const;

/** The fixed keys that two configurations do not have in common, in the order of the file. `operations.admin`: it is there in one of them alone. */
export function changedFixedKeys(from: Config, to: Config): string[] {
  const changed: string[] = fixedKeys.filter((key) => plainText(valueAt(from, key)) !== plainText(valueAt(to, key)));
  const hasAdmin = ({ operations }: Config): boolean => operations.admin !== undefined;
  return hasAdmin(from) === hasAdmin(to) ? changed : [...changed, 'operations.admin'];
}

/** Text that is the same for equal values, with secrets in clear: to be compared or hashed, and never shown. */
export function plainText(value: unknown): string {
  // A replacer sees what `toJSON` has made of a value; the value itself is still where it came from.
  return JSON.stringify([value], function (this: Record<string, unknown>, key) {
    const own = this[key];
    return own instanceof Secret ? own.reveal() : own;
  });
}

function valueAt(config: Config, key: string): unknown {
  return key.split('.').reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], config);
}
