// The YAML of a configuration: plain values, and for each of them its place in the text.
// The library's own error texts quote the file, and with it secrets: ours never do.
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml';
import type { Document, ErrorCode, Node, ParsedNode } from 'yaml';
import type { Path, Position } from './problem.ts';

/** A mistake in the YAML itself. */
export interface SyntaxMistake {
  position: Position;
  message: string;
}

export interface ParsedDocument {
  /** Whether `value` says what was written, so that looking further makes sense. */
  readable: boolean;
  mistakes: SyntaxMistake[];
  value: unknown;
  /** Where the value at a path begins, or with `key` its key; of something absent, the nearest thing around it. */
  positionOf(path: Path, part?: 'key' | 'value'): Position;
  /** Whether the file itself says something at a path. */
  has(path: Path): boolean;
}

const longestText = 1_000_000;
// An alias repeats what its anchor holds, and aliases of aliases grow without bound ("billion laughs").
const mostAliases = 100;

const tooDeep = 'the values are nested too deeply: this is no configuration';
const notValid = 'this is not valid YAML';
const sentences: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: 'this anchor or alias (& or *) is not valid; put the value in quotes if it is text',
  BAD_DIRECTIVE: 'lines that begin with % are not used here',
  BAD_DQ_ESCAPE: 'YAML does not know this backslash escape; use single quotes, or write \\\\',
  BAD_INDENT: 'the indentation does not fit, or a bracket is not closed',
  BAD_SCALAR_START: 'a value that begins with this character must stand in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'two keys stand on one line; put the value in quotes if it contains ": "',
  DUPLICATE_KEY: 'this key stands here twice; keep one of them',
  KEY_OVER_1024_CHARS: 'a key must be a short plain word',
  MISSING_CHAR: 'a closing quote or bracket, a colon or a comma is missing before this point',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line and end with a colon; is the colon missing?',
  MULTIPLE_DOCS: 'a second document begins here (---); a configuration is one document',
  NON_STRING_KEY: 'a key must be a short plain word',
  RESOURCE_EXHAUSTION: tooDeep,
  TAB_AS_INDENT: 'a tab is used for indentation; YAML allows spaces only',
  TAG_RESOLVE_FAILED:
    'a value that begins with ! means a tag in YAML, and there are none here; put the value in quotes',
};
const danglingAlias =
  'a value that begins with * means an alias in YAML, and there is none of this name; put the value in quotes';

/** Reads one YAML 1.2 document. Never throws. */
export function parseYaml(text: string): ParsedDocument {
  if (text.length > longestText) return unreadable('the file is larger than 1 MB: this is no configuration');
  const lineCounter = new LineCounter();
  const positionAt = (offset: number): Position => {
    const { line, col } = lineCounter.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  try {
    const document = parseDocument(text, { lineCounter, prettyErrors: false, stringKeys: true, logLevel: 'error' });
    const dangling = danglingAliasesOf(document);
    const readable = dangling.length === 0 && document.errors.every(({ code }) => code === 'DUPLICATE_KEY');
    const mistakes = [...mistakesOf(document), ...dangling].map(({ offset, message }) => ({
      position: positionAt(offset),
      message,
    }));
    return {
      readable,
      mistakes,
      value: readable ? document.toJS({ maxAliasCount: mostAliases }) : undefined,
      positionOf: (path, part = 'value') => positionAt(offsetOf(document, path, part)),
      has: (path) => find(document, path).depth === path.length,
    };
  } catch (error) {
    if (error instanceof ReferenceError) return unreadable('the aliases (*name) repeat too much: write the values out');
    // The parser knows its own depth; what walks its result may need more stack than it did.
    if (error instanceof RangeError) return unreadable(tooDeep);
    throw error;
  }
}

function unreadable(message: string): ParsedDocument {
  const position = { line: 1, column: 1 };
  return {
    readable: false,
    mistakes: [{ position, message }],
    value: undefined,
    positionOf: () => position,
    has: () => false,
  };
}

interface Mistake {
  offset: number;
  message: string;
}

function mistakesOf(document: Document.Parsed): Mistake[] {
  return [...document.errors, ...document.warnings].map(({ code, pos }) => ({
    offset: pos[0],
    message: sentences[code] ?? notValid,
  }));
}

function danglingAliasesOf(document: Document.Parsed): Mistake[] {
  const dangling: Mistake[] = [];
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) === undefined)
        dangling.push({ offset: alias.range?.[0] ?? 0, message: danglingAlias });
    },
  });
  return dangling;
}

interface Found {
  key: Node | undefined;
  value: Node | null;
  /** How many segments of the path the file holds. */
  depth: number;
}

function find(document: Document.Parsed, path: Path): Found {
  let found: Found = { key: undefined, value: document.contents, depth: 0 };
  for (const segment of path) {
    const next = childOf(document, found.value, segment);
    if (next === undefined) break;
    found = { ...next, depth: found.depth + 1 };
  }
  return found;
}

function childOf(document: Document.Parsed, parent: Node | null, segment: string | number) {
  const node = isAlias(parent) ? parent.resolve(document) : parent;
  if (isSeq<ParsedNode>(node) && typeof segment === 'number') {
    const item = node.items[segment];
    return item === undefined ? undefined : { key: undefined, value: item };
  }
  if (!isMap<ParsedNode, ParsedNode | null>(node)) return undefined;
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(segment));
  return pair === undefined ? undefined : { key: pair.key, value: pair.value };
}

function offsetOf(document: Document.Parsed, path: Path, part: 'key' | 'value'): number {
  const { key, value, depth } = find(document, path);
  const isEmpty = value === null || (isScalar(value) && value.value === null);
  const node = depth < path.length || part === 'key' || isEmpty ? (key ?? value) : value;
  return node?.range?.[0] ?? 0;
}
