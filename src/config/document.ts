// The YAML of a configuration: plain values, and for each of them its place in the text.
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Document, Node, ParsedNode } from 'yaml';
import type { Path, Position } from './problem.ts';
import { danglingAliases, syntaxMistakes, tooDeep } from './yaml-mistakes.ts';

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

/** Reads one YAML 1.2 document. Never throws. */
export function parseYaml(text: string): ParsedDocument {
  if (text.length > longestText) return unreadable('the file is larger than 1 MB: this is no configuration');
  // Editors and shells of Windows may write UTF-16, in which every other byte of plain text is zero.
  if (text.includes('\0')) return unreadable('the file is not UTF-8 text: save it as UTF-8');
  const lineCounter = new LineCounter();
  const positionAt = (offset: number): Position => {
    const { line, col } = lineCounter.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  try {
    const document = parseDocument(text, { lineCounter, prettyErrors: false, stringKeys: true, logLevel: 'error' });
    const dangling = danglingAliases(document);
    const readable = dangling.length === 0 && document.errors.every(({ code }) => code === 'DUPLICATE_KEY');
    const mistakes = [...syntaxMistakes(document, text), ...dangling].map(({ offset, message }) => ({
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
