// The configuration that is in force, as YAML that loads again: every default written out, secrets by the place they come from.
// A secret that stands in the file itself is redacted, so that part must be filled in before the text loads. A Redis URL without a password is none.
import { Document, isCollection, isMap, isScalar, isSeq } from 'yaml';
import type { Node } from 'yaml';
import type { Path } from './problem.ts';
import { hasPassword } from './redis-rules.ts';
import { createConfigSchema } from './schema.ts';
import type { Config } from './schema.ts';
import { Secret } from './secret.ts';

/**
 * The effective configuration.
 *
 * @param originOf with it each value is followed by a comment: where it comes from
 */
export function formatEffective(config: Config, originOf?: (path: Path) => string): string {
  const readNothing = () => new Secret('');
  const document = new Document(createConfigSchema(readNothing).encode(config));
  const url = config.redis?.url;
  if (url?.isWritten === true && !hasPassword(url)) document.setIn(['redis', 'url'], url.reveal());
  config.routes.forEach(({ auth }, index) => {
    if (auth === 'none') document.deleteIn(['routes', index, 'token']);
  });
  if (isMap(document.contents)) layOut(document.contents, [], originOf);
  return document.toString({ lineWidth: 0 });
}

/** Where a value comes from: `line 7`, `line 9, env NAME`, `line 9, file /path`, or `default`. */
export function createOriginOf(config: Config, lineOf: (path: Path) => number | undefined): (path: Path) => string {
  return (path) => {
    const line = lineOf(path);
    if (line === undefined) return 'default';
    const value = path.reduce<unknown>((at, segment) => (at as Record<string | number, unknown>)[segment], config);
    return value instanceof Secret && !value.isWritten ? `line ${line}, ${value.origin}` : `line ${line}`;
  };
}

// Lists of words, secrets and empty collections stay on one line, and count as one value.
function layOut(node: Node, path: Path, originOf: ((path: Path) => string) | undefined): void {
  if (!isCollection(node) || isOneValue(node)) {
    if (isCollection(node)) node.flow = true;
    if (originOf !== undefined) node.comment = ` ${originOf(path)}`;
    return;
  }
  childrenOf(node).forEach(([segment, child]) => layOut(child, [...path, segment], originOf));
}

function isOneValue(node: Node): boolean {
  if (isSeq(node)) return node.items.every(isScalar);
  return isMap(node) && (node.items.length === 0 || isSecretSource(node));
}

function isSecretSource(node: Node): boolean {
  return isMap(node) && node.items.length === 1 && (node.has('env') || node.has('file'));
}

function childrenOf(node: Node): [string | number, Node][] {
  if (isSeq<Node>(node)) return node.items.map((item, index) => [index, item]);
  if (!isMap(node)) return [];
  return node.items.map((pair) => [String(isScalar(pair.key) ? pair.key.value : ''), pair.value as Node]);
}
