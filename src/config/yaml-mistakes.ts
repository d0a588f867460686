// What is wrong with the YAML itself, in words of ours: the library's own texts quote the file, and with it secrets.
import { isCollection, isScalar, visit } from 'yaml';
import type { Document, ErrorCode, YAMLError } from 'yaml';

/** A mistake at an offset of the text. */
export interface YamlMistake {
  offset: number;
  message: string;
}

/** What is said of values that are nested deeper than the parser goes. */
export const tooDeep = 'the values are nested too deeply: this is no configuration';

const notValid = 'this does not belong here; is a comma, a colon or a quote missing before it?';
const indentation = 'the indentation does not fit the lines above, or a colon or a comma is missing before this point';
const sentences: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: 'this anchor or alias (& or *) is not valid; put the value in quotes if it is text',
  BAD_DIRECTIVE: 'lines that begin with % are not used here',
  BAD_DQ_ESCAPE: 'YAML does not know this backslash escape; use single quotes, or write \\\\',
  BAD_INDENT: indentation,
  BAD_SCALAR_START: 'a value that begins with this character must stand in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'two keys stand on one line; put the value in quotes if it contains ": "',
  DUPLICATE_KEY: 'this key stands here twice; keep one of them',
  KEY_OVER_1024_CHARS: 'a key must be a short plain word',
  MISSING_CHAR: indentation,
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line and end with a colon and a space; is one of them missing?',
  MULTIPLE_DOCS: 'a second document begins here (---); a configuration is one document',
  NON_STRING_KEY: 'a key must be a short plain word',
  RESOURCE_EXHAUSTION: tooDeep,
  TAB_AS_INDENT: 'a tab is used for indentation; YAML allows spaces only',
  TAG_RESOLVE_FAILED:
    'a value that begins with ! means a tag in YAML, and there are none here; put the value in quotes',
};
const danglingAlias =
  'a value that begins with * means an alias in YAML, and there is none of this name; put the value in quotes';

/** Everything that the parser found, one mistake for each line: what else it finds on a line follows from the first. */
export function syntaxMistakes(document: Document.Parsed, text: string): YamlMistake[] {
  const lines = new Set<number>();
  return [...document.errors, ...document.warnings]
    .filter(({ pos }) => {
      const line = text.lastIndexOf('\n', pos[0] - 1);
      return !lines.has(line) && lines.add(line);
    })
    .map((error) => reread(error, document, text));
}

/** Aliases (*name) without an anchor (&name). */
export function danglingAliases(document: Document.Parsed): YamlMistake[] {
  const dangling: YamlMistake[] = [];
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) === undefined)
        dangling.push({ offset: alias.range?.[0] ?? 0, message: danglingAlias });
    },
  });
  return dangling;
}

// The parser notices some mistakes far from where people made them.
function reread({ code, pos: [start] }: YAMLError, document: Document.Parsed, text: string): YamlMistake {
  if (code === 'MISSING_CHAR' || code === 'BAD_INDENT') {
    const opened = openedBefore(document, start);
    if (opened !== undefined) return opened;
  }
  const rest = text.slice(start);
  if ((code === 'BLOCK_AS_IMPLICIT_KEY' || code === 'MULTILINE_IMPLICIT_KEY') && /^ *- /.test(rest)) {
    return { offset: start + rest.indexOf('-'), message: 'a list begins here, among the keys of a section' };
  }
  // `key: value`, and under it `  other: value`: the second line goes on with the value of the first.
  const goesOn = document.errors.some((other) => other.code === 'MULTILINE_IMPLICIT_KEY' && other.pos[0] === start);
  const nextLine = /^[^\n]*\n +(?=\S)/.exec(rest)?.[0];
  if (code === 'BLOCK_AS_IMPLICIT_KEY' && goesOn && nextLine !== undefined) {
    return {
      offset: start + nextLine.length,
      message: 'this line is indented deeper than the key above it, which has a value; line the two up',
    };
  }
  return { offset: start, message: sentences[code] ?? notValid };
}

function openedBefore(document: Document.Parsed, offset: number): YamlMistake | undefined {
  let opened: YamlMistake | undefined;
  visit(document, {
    Node(_key, node) {
      if (node.range?.[1] !== offset) return;
      const isQuoted = isScalar(node) && (node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE');
      if (!isQuoted && !(isCollection(node) && node.flow === true)) return;
      const what = isQuoted ? 'quote' : 'bracket';
      opened = { offset: node.range[0], message: `the ${what} that begins here is never closed` };
    },
  });
  return opened;
}
