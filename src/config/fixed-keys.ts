// What a running process cannot change: what it listens with, where sessions are, and by what they are recognised.
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
  'session.nearCache',
  'redis',
  'cookie',
  'limits.headers',
  'log.format',
] as const;

/** The keys that differ between two configurations and need a restart. Of the section `operations.admin` only whether it is there. */
export function changedFixedKeys(from: Config, to: Config): string[] {
  return changedKeys(withoutPasswords(from), withoutPasswords(to)).filter(
    (key) => key === 'operations.admin' || fixedKeys.some((fixed) => key === fixed || key.startsWith(`${fixed}.`)),
  );
}

// A password that is rotated must not keep all else from being taken over: the next connection to Redis is made with it.
function withoutPasswords({ redis, ...others }: Config): object {
  if (redis === undefined) return others;
  const { url, sentinel } = redis;
  const group = sentinel && { ...sentinel, password: undefined };
  return { ...others, redis: { ...redis, password: undefined, url: url && urlWithoutPassword(url), sentinel: group } };
}

function urlWithoutPassword(secret: Secret): string {
  const url = new URL(secret.reveal());
  url.password = '';
  return url.href;
}

/** The keys whose values differ between two configurations, in the order of the file; a section that is there in one of them alone is one key, and so is a list. */
export function changedKeys(from: unknown, to: unknown, at: readonly string[] = []): string[] {
  if (plainText(from) === plainText(to)) return [];
  if (!isSection(from) || !isSection(to)) return [at.join('.')];
  const names = new Set([...Object.keys(from), ...Object.keys(to)]);
  return [...names].flatMap((name) => changedKeys(from[name], to[name], [...at, name]));
}

/** Text that is the same for equal values, with secrets in clear: to be compared or hashed, and never shown. */
export function plainText(value: unknown): string {
  // A replacer sees what `toJSON` has made of a value; the value itself is still where it came from.
  return JSON.stringify([value], function (this: Record<string, unknown>, key) {
    const own = this[key];
    return own instanceof Secret ? own.reveal() : own;
  });
}

// An address is one value in the file, though it is read as two.
function isSection(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return false;
  return Object.keys(value).join() !== 'host,port';
}
