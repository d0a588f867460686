// Turns what the schema found into sentences: what it must be, what was given, and the nearest valid name. Never a secret's value.
import type * as z from 'zod';
import { didYouMean, nearest } from './did-you-mean.ts';
import { formatPath, withoutPassword } from './problem.ts';
import type { Path } from './problem.ts';
import { allowedKeys, homesOf, isSecret, mayHoldSecret, requiredKeys } from './shape.ts';

/** A problem before it has a place in the file: on the key (`unknown key`) or on the value. */
export interface Mistake {
  path: Path;
  part: 'key' | 'value';
  message: string;
}

type Issue = z.core.$ZodIssue;

interface Context {
  schema: z.ZodType;
  /** The file's plain values, to say what was given. */
  value: unknown;
}

/** The sentences for a failed parse. */
export function mistakesFrom(issues: readonly Issue[], context: Context): Mistake[] {
  return issues.flatMap((issue) => mistakesOf(issue, pathOf(issue), context));
}

/** What a value must be, where the schema has no phrase of its own. Give it to the parse as its error map. */
export function phraseFor(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_value':
      return listed(issue.values.map(String), 'or');
    case 'too_small':
      if (issue.origin === 'array') return 'a list with at least one entry';
      return issue.origin === 'string' ? 'text that is not empty' : `at least ${issue.minimum}`;
    case 'too_big':
      return `at most ${issue.maximum}`;
    case 'invalid_type':
      return nounFor(issue.expected);
    default:
      return 'something else';
  }
}

function nounFor(type: string): string {
  switch (type) {
    case 'string':
      return 'text';
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'a list: [a, b], or a line "- a" for each entry';
    case 'int':
      return 'a whole number';
    case 'number':
      return 'a number';
    case 'object':
    case 'record':
      return 'a section';
    default:
      return 'something else';
  }
}

function mistakesOf(issue: Issue, path: Path, context: Context): Mistake[] {
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], part: 'key', message: unknownKey(key, path, context) }));
    case 'invalid_union':
      return mistakesOfUnion(issue, path, context);
    default:
      return [{ path, part: 'value', message: wrongValue(issue, path, context) }];
  }
}

function unknownKey(key: string, path: Path, { schema }: Context): string {
  const allowed = allowedKeys(schema, path);
  const suggestion = didYouMean(key, allowed);
  if (suggestion !== '') return `unknown key${suggestion}`;
  const homes = homesOf(schema, key).map((home) => (home.length === 0 ? 'the top level' : formatPath(home)));
  if (homes.length > 0 && homes.length < 4) return `unknown key here; it belongs under ${listed(homes, 'or')}`;
  return `unknown key; allowed here: ${allowed.join(', ')}`;
}

// Of several alternatives the one is judged that was meant: the one whose keys were used.
function mistakesOfUnion(issue: z.core.$ZodIssueInvalidUnion, path: Path, context: Context): Mistake[] {
  if (isSecret(context.schema, path)) return [{ path, part: 'value', message: wrongSecret(issue, path, context) }];
  const sections = issue.errors.filter((issues) => !issues.some(isOfAnotherType));
  const meant = sections.find((issues) => !issues.some((inner) => inner.code === 'unrecognized_keys'));
  if (meant !== undefined) return meant.flatMap((inner) => mistakesOf(inner, [...path, ...pathOf(inner)], context));
  const given = valueAt(context.value, path);
  const allowed = allowedKeys(context.schema, path);
  const unknown = isRecord(given) ? Object.keys(given).filter((key) => !allowed.includes(key)) : [];
  if (unknown.length === 0) return [{ path, part: 'value', message: wrongValue(issue, path, context) }];
  return unknown.map((key) => ({ path: [...path, key], part: 'key', message: unknownKey(key, path, context) }));
}

function isOfAnotherType(issue: Issue): boolean {
  return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');
}

function wrongSecret(issue: Issue, path: Path, context: Context): string {
  const given = valueAt(context.value, path);
  if (given === undefined) return `missing; it must be ${issue.message}`;
  if (!isRecord(given)) return `must be ${issue.message}${given === null || given === '' ? ', not empty' : ''}`;
  // The keys may be the secret itself, written without quotes: { s3cret }. Only a near miss is safe to talk about.
  const near = Object.keys(given).flatMap((key) => nearest(key, ['file', 'env']) ?? []);
  const suggestion =
    near.length === 1 && !('file' in given && 'env' in given) ? `; did you mean "${near[0] ?? ''}"?` : '';
  return `must be ${issue.message}${suggestion}`;
}

function wrongValue(issue: Issue, path: Path, context: Context): string {
  if (issue.code === 'custom' && issue.params?.sentence === true) return issue.message;
  const given = valueAt(context.value, path);
  const phrase = issue.code === 'invalid_type' && issue.expected === 'object' ? section(path, context) : issue.message;
  if (given === undefined) return `missing; it must be ${phrase}`;
  if (isSecret(context.schema, path) || (issue.code === 'invalid_union' && isRecord(given))) return `must be ${phrase}`;
  // Text in the place of a section or list of secrets may well be one of them.
  const shown = typeof given === 'string' && mayHoldSecret(context.schema, path) ? 'text' : show(given);
  return `must be ${phrase}, not ${shown}${hint(issue, given)}`;
}

function hint(issue: Issue, given: unknown): string {
  if (typeof given !== 'string') return '';
  if (/\$\{\w*\}/.test(given)) return '; variables are not replaced in this file';
  if (/^\/.*\*$/.test(given)) return '; leave the * out, all that is below a path belongs to it';
  return issue.code === 'invalid_value' ? didYouMean(given, issue.values.map(String)) : '';
}

function section(path: Path, { schema }: Context): string {
  const required = requiredKeys(schema, path);
  if (required.length > 0) return `a section with ${listed(required, 'and')}`;
  const allowed = allowedKeys(schema, path);
  return allowed.length === 0 ? 'a section of keys and values' : `a section with ${listed(allowed, 'or')}`;
}

/** A value as people wrote it, short enough for one line, without the password that a URL may hold. */
function show(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'string') {
    const harmless = withoutPassword(value);
    return JSON.stringify(harmless.length > 80 ? `${harmless.slice(0, 77)}...` : harmless);
  }
  return typeof value === 'object' ? 'a section' : JSON.stringify(value);
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, segment) => {
    if (Array.isArray(at) && typeof segment === 'number') return at[segment];
    return isRecord(at) && Object.hasOwn(at, segment) ? at[segment] : undefined;
  }, value);
}

function pathOf(issue: Issue): Path {
  return issue.path.map((segment) => (typeof segment === 'number' ? segment : String(segment)));
}

function isRecord(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listed(words: readonly string[], conjunction: 'and' | 'or'): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} ${conjunction} ${last}`;
}
