// The kinds of value a configuration can hold: durations, sizes, URLs, paths, secrets.
// Every message completes the sentence "it must be …"; issues.ts builds the rest around it.
import { isIP } from 'node:net';
import * as z from 'zod';
import { Secret } from './secret.ts';
import type { SecretSource } from './secret.ts';
import {
  durationPattern,
  formatDuration,
  formatSize,
  parseDurationSeconds,
  parseSizeBytes,
  sizePattern,
} from './units.ts';

/** Gives a secret's value, or throws an Error whose message tells the operator what to mend. */
export type ReadSecret = (source: SecretSource) => Secret;

// RFC 6265bis caps a cookie's life at 400 days, and nothing here outlives its cookie.
export const duration = durationUpTo('400d');
// A timer of Node's fires at once when it is set for longer than 24 days.
export const timeLimit = durationUpTo('1d');
/** A duration that may be none. */
export const pause = durationBetween('0s', '1h', 'a duration such as 0s, 5s or 1m, at most 1h');
export const headSize = sizeBetween('1kb', '1mb');
export const bodySize = sizeBetween('1b', '1024gb');
export const text = z
  .string('text')
  .regex(/^[\x20-\x7e]+$/, 'text of one or more printable ASCII characters')
  .refine((value) => !/\$\{\w+\}/.test(value), 'the text itself');
export const headerValue = z
  .string('text')
  .regex(
    /^[\x20-\x7e]+$/,
    'a header value: printable ASCII on one line (in YAML, >- folds lines without a newline at the end)',
  );
export const fieldText = z
  .string('text (numbers, true and false need quotes here)')
  .regex(
    /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/,
    'text of printable ASCII characters on one line, without spaces around it',
  );
export const noncePlaceholder = z
  .string('a placeholder')
  .regex(
    /^[A-Za-z0-9_{}%$#@!.-]{8,64}$/,
    'a placeholder: 8 to 64 letters, digits and _ { } % $ # @ ! . - which stand nowhere else in the pages, such as __CSP_NONCE__',
  );
export const cookieName = z
  .string('a cookie name')
  .regex(/^[A-Za-z0-9!#$&'*.^`|~_-]{1,64}$/, 'a cookie name: letters, digits and - _ . and at most 64 of them');

export const scope = z
  .string('a scope')
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'a scope: one word, without spaces (each scope is an entry of its own)');
export const acrValue = z
  .string('an acr value')
  .regex(/^[\x21-\x7e]{1,128}$/, 'an acr value: one word of at most 128 printable ASCII characters, without spaces');
export const parameterValue = z.string('text (numbers, true and false need quotes here)');

const anOrigin = 'an origin: scheme, host and port, nothing after them, such as https://shop.example.com';
export const origin = z.string(anOrigin).refine(isOrigin, anOrigin);
const anHttpUrl = 'an http or https URL without query, fragment or user name';
export const httpUrl = z.string(anHttpUrl).refine(isHttpUrl, anHttpUrl);
const anUpstream = `${anHttpUrl}, or the path of a socket as in unix:/run/app.sock`;
export const upstreamAddress = z.string(anUpstream).refine((text) => isHttpUrl(text) || isSocket(text), anUpstream);
const aServerName = 'the name of a host, such as orders.internal';
export const serverName = z.string(aServerName).regex(/^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/, aServerName);

export const listenAddress = hostAndPort('host:port, such as 0.0.0.0:8080 or [::]:8080', 0);
export const serverAddress = hostAndPort('host:port, such as redis-1:6379', 1);

// Only characters that every back end reads alike, so that a route means one thing.
const aRoutePath = 'a path such as /api or /api/orders, of letters, digits and - . _ ~, without a slash at its end';
export const routePath = z
  .string(aRoutePath)
  .regex(/^\/(?:[A-Za-z0-9._~-]+(?:\/[A-Za-z0-9._~-]+)*)?$/, aRoutePath)
  .refine((path) => !/(^|\/)\.{1,2}(\/|$)/.test(path), 'a path without . or .. segments');
export const ownPath = z
  .string('a path')
  .refine(isOwnPath, 'a path of this origin such as /signed-out, without . or .. segments');
export const network = z
  .string('an IP address or a network')
  .refine(isNetwork, 'an IP address or a network, such as 10.0.0.7 or 10.0.0.0/8');

/** How many of some things there may be: at least one. */
export function countOf(things: string) {
  return z.int(`a whole number of ${things}`).min(1, 'at least 1');
}

/** A path of this machine; `resolve` makes it absolute. */
export function machinePath(resolve: (path: string) => string) {
  return z.codec(z.string('a path of this machine').min(1, 'a path of this machine'), z.string(), {
    decode: resolve,
    encode: (resolved) => resolved,
  });
}

/** A secret in any of its three forms; marked writeOnly, so that nothing prints what was written there. */
export function secretValue(readSecret: ReadSecret, path: ReturnType<typeof machinePath>) {
  const source = z.union(
    [z.string().min(1), z.strictObject({ file: path }), z.strictObject({ env: z.string().min(1) })],
    { error: '{ file: /path } or { env: NAME }, or less well the secret itself as text' },
  );
  return z
    .codec(source, z.instanceof(Secret), {
      decode: (source, context) => {
        try {
          return readSecret(typeof source === 'string' ? { value: source } : source);
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          context.issues.push({ code: 'custom', input: undefined, message, params: { sentence: true } });
          return z.NEVER;
        }
      },
      encode: (secret) => secret.toSource(),
    })
    .meta({ writeOnly: true });
}

function hostAndPort(phrase: string, leastPort: number) {
  return z.codec(
    z
      .string(phrase)
      .regex(/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, { error: phrase, abort: true })
      .refine((address) => portOf(address) >= leastPort, phrase)
      .refine((address) => portOf(address) <= 65535, 'host:port with a port of at most 65535'),
    z.object({ host: z.string(), port: z.number() }),
    {
      decode: (address) => ({
        host: address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, ''),
        port: portOf(address),
      }),
      encode: ({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`),
    },
  );
}

function durationUpTo(most: string) {
  return durationBetween('1ms', most, `a duration such as 30s, 10m, 12h or 7d, more than 0 and at most ${most}`);
}

function durationBetween(least: string, most: string, phrase: string) {
  return z.codec(
    z
      .string(phrase)
      .regex(durationPattern, { error: phrase, abort: true })
      .refine((text) => parseDurationSeconds(text) >= parseDurationSeconds(least), phrase)
      .refine((text) => parseDurationSeconds(text) <= parseDurationSeconds(most), phrase),
    z.number(),
    { decode: parseDurationSeconds, encode: formatDuration },
  );
}

function sizeBetween(least: string, most: string) {
  const phrase = `a size such as 64kb, from ${least} to ${most}`;
  return z.codec(
    z
      .string(phrase)
      .regex(sizePattern, { error: phrase, abort: true })
      .refine((text) => parseSizeBytes(text) >= parseSizeBytes(least), phrase)
      .refine((text) => parseSizeBytes(text) <= parseSizeBytes(most), phrase),
    z.number(),
    { decode: parseSizeBytes, encode: formatSize },
  );
}

function portOf(text: string): number {
  return Number(text.slice(text.lastIndexOf(':') + 1));
}

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' && !/[?#\\\s]/.test(text);
}

function isSocket(text: string): boolean {
  return /^unix:\/[^\s?#:\\]*[^\s?#:\\/]$/.test(text);
}

function isOrigin(text: string): boolean {
  return isHttpUrl(text) && new URL(text).origin === text;
}

// What is written must be what a browser makes of it: a backslash, a second slash or a dot segment would lead elsewhere.
function isOwnPath(text: string): boolean {
  if (!/^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/.test(text)) return false;
  const url = new URL(text, 'https://origin.invalid');
  return url.host === 'origin.invalid' && url.pathname === /^[^?#]*/.exec(text)?.[0];
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}
