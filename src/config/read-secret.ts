// Gets a secret from where the file says it is. What goes wrong is told by the name of the place, never by what was found there.
import { didYouMean } from './did-you-mean.ts';
import { Secret } from './secret.ts';
import type { ReadSecret } from './values.ts';

/** The world outside the configuration file. */
export interface Outside {
  /** Reads a file as UTF-8; throws as `fs.readFileSync` does. */
  readFile: (path: string) => string;
  env: Record<string, string | undefined>;
  /** Epoch ms. */
  now: () => number;
}

/** A reader whose errors say what to mend. */
export function createReadSecret({ readFile, env }: Pick<Outside, 'readFile' | 'env'>): ReadSecret {
  return (source) => {
    if ('value' in source) return new Secret(written(source.value), source);
    if ('env' in source) return new Secret(fromEnvironment(source.env, env), source);
    return new Secret(fromFile(source.file, readFile), source);
  };
}

/** Why a file cannot be read, in words. */
export function reasonFor(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'there is no such file';
    case 'EACCES':
    case 'EPERM':
      return 'this process may not read it';
    case 'EISDIR':
      return 'it is a directory';
    default:
      return typeof code === 'string' ? code : 'it is not readable text';
  }
}

function written(value: string): string {
  const name = /^\$\{(\w+)\}$/.exec(value)?.[1];
  if (name !== undefined) throw new Error(`variables are not replaced in this file; write { env: ${name} }`);
  return value;
}

function fromEnvironment(name: string, env: Outside['env']): string {
  const value = env[name];
  if (value === undefined) {
    const present = Object.keys(env).filter((other) => env[other] !== undefined);
    throw new Error(`the environment variable ${name} is not set${didYouMean(name, present)}`);
  }
  if (value === '') throw new Error(`the environment variable ${name} is empty`);
  return value;
}

function fromFile(path: string, readFile: Outside['readFile']): string {
  let content: string;
  try {
    content = readFile(path);
  } catch (error) {
    throw new Error(`the file ${path} cannot be read: ${reasonFor(error)}`, { cause: error });
  }
  // Editors and `echo` end a file with a newline that is no part of the secret.
  const value = content.replace(/\r?\n$/, '');
  if (value === '') throw new Error(`the file ${path} is empty`);
  return value;
}
