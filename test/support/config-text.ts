// Configurations as text, for the tests of what is said about them. Files and environment are maps: nothing is read from the machine.
import { loadConfig } from '../../src/config/load.ts';
import type { LoadOutcome } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';

/** A session key as `openssl rand -base64 32` makes them. */
export const sessionKey = '5vDJ0cWZ3K7G2rY8p1xQ4mT6uN9bV0aLhEoXwSfRi3k=';

const rightSections = [
  'publicUrl: https://shop.example.com\n',
  'provider:\n  issuer: https://id.example.com\n  clientId: shop\n  clientSecret: { env: CLIENT_SECRET }\n',
  'session: { keys: [{ env: SESSION_KEY }] }\n',
  'redis: { url: { env: REDIS_URL } }\n',
  'routes: [{ path: /api, upstream: http://orders:8080 }]\n',
];

const environment = {
  CLIENT_SECRET: 'a client secret',
  SESSION_KEY: sessionKey,
  REDIS_URL: 'redis://redis:6379/0',
};

export interface World {
  files?: Record<string, string>;
  env?: Record<string, string | undefined>;
}

/** A right configuration in which the top-level keys of `text` are as written there; they come first, so its lines keep their numbers. */
export function rightSave(written: string): string {
  const text = block(written);
  const keys = new Set(Array.from(text.matchAll(/^(\w+):/gm), ([, key]) => key));
  return text + rightSections.filter((section) => !keys.has(/^\w+/.exec(section)?.[0])).join('');
}

/** The lines of a template literal: the first is the one after its opening quote, the last ends like all others. */
function block(text: string): string {
  return text.replace(/^\n/, '').replace(/([^\n])$/, '$1\n');
}

/** Loads `text` as /etc/postern/postern.yaml of a machine that has only the files of `world`. */
export function load(text: string, { files = {}, env = {} }: World = {}): LoadOutcome {
  const present: Record<string, string> = { '/etc/postern/postern.yaml': block(text), ...files };
  const readFile = (path: string): string => {
    const content = present[path];
    if (content === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
    return content;
  };
  return loadConfig({ path: '/etc/postern/postern.yaml', readFile, env: { ...environment, ...env }, now: Date.now });
}

/** What an operator reads on stderr, line by line; the directory is left out. */
export function complaintsAbout(text: string, world: World = {}): string[] {
  const outcome = load(text, world);
  const lines =
    outcome.kind === 'ok'
      ? outcome.warnings.map((warning) => formatProblem(warning, 'warning'))
      : outcome.problems.map((problem) => formatProblem(problem));
  return lines.map((line) => line.replace(/^\/etc\/postern\//, ''));
}
