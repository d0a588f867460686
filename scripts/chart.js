#!/usr/bin/env node
// Writes what the chart says twice: helm/values.schema.json, the same of charts/valkey, and the table in helm/README.md, from values.yaml and its
// comments in both and from config/postern.schema.json, so that none can say anything else.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse } from 'yaml';
import { root } from './process.js';

const read = (path) => readFileSync(join(root, path), 'utf8');

/** The files as they should be: path in the clone → text. */
export function chartFiles() {
  const values = documentedValues(read('helm/values.yaml'));
  const postern = JSON.parse(read('config/postern.schema.json'));
  const valkey = schemaOf(documentedValues(read('helm/charts/valkey/values.yaml')));
  // Helm hands the condition down with the rest.
  valkey.properties.enabled = { type: 'boolean', description: 'Whether the chart that contains this one runs it.' };
  const schema = withConfig(schemaOf(values), postern);
  schema.properties.valkey.properties = { ...valkey.properties, ...schema.properties.valkey.properties };
  const table = /(?<=<!-- values -->\n\n)[^]*(?=\n\n<!-- end of values -->)/;
  return {
    'helm/values.schema.json': asJson(schema),
    'helm/charts/valkey/values.schema.json': asJson(valkey),
    'helm/README.md': read('helm/README.md').replace(table, () => valuesTable(allValues())),
  };
}

/** The values of the chart and, under `valkey`, those of the chart in it. */
export function allValues() {
  const inner = documentedValues(read('helm/charts/valkey/values.yaml')).filter(({ path }) => path[0] !== 'global');
  return [
    ...documentedValues(read('helm/values.yaml')),
    ...inner.map((value) => ({ ...value, path: ['valkey', ...value.path] })),
  ];
}

function asJson(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/**
 * The documented values of a values.yaml in their order: `{ path, text, schema, value, isLeaf }`. A comment `# -- text` above a key documents it,
 * `# @schema {…}` says more of its type. A key whose own keys are documented is no leaf.
 */
export function documentedValues(text) {
  const found = [];
  const parents = [];
  let comment = [];
  for (const line of text.split('\n')) {
    const [, indent, remark, key] = /^( *)(?:# ?(.*)|([\w-]+):.*)$/.exec(line) ?? [];
    if (remark !== undefined) {
      comment.push(remark);
      continue;
    }
    if (key !== undefined) {
      parents.splice(indent.length / 2, Infinity, key);
      const documented = readComment(comment);
      if (documented !== undefined) found.push({ path: [...parents], ...documented });
    }
    comment = [];
  }
  const all = parse(text);
  const isInside = ({ path }, other) =>
    other.path.length > path.length && path.every((key, i) => other.path[i] === key);
  return found.map((entry) => ({
    ...entry,
    value: entry.path.reduce((value, key) => value[key], all),
    isLeaf: !found.some((other) => isInside(entry, other)),
  }));
}

function readComment(lines) {
  const schema = lines.find((line) => line.startsWith('@schema '))?.slice('@schema '.length);
  const text = lines.filter((line) => !line.startsWith('@schema ')).join(' ');
  if (!text.startsWith('-- ')) return undefined;
  return { text: text.slice('-- '.length), schema: schema === undefined ? {} : JSON.parse(schema) };
}

function schemaOf(values) {
  const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...emptyObject() };
  for (const { path, text, schema: said, value, isLeaf } of values) {
    const parent = path.slice(0, -1).reduce((at, key) => (at.properties[key] ??= emptyObject()), schema);
    const own = isLeaf ? { type: typeOf(value), default: value } : emptyObject();
    parent.properties[path.at(-1)] = { ...parent.properties[path.at(-1)], description: text, ...own, ...said };
  }
  return schema;
}

function withConfig(schema, postern) {
  const config = withoutWrittenSecrets(postern);
  delete config.$schema;
  schema.definitions = { config };
  // With a ConfigMap of the user's own, `config` is not used and need not be whole.
  schema.if = { properties: { existingConfigMap: { properties: { name: { const: '' } } } } };
  schema.then = { properties: { config: { $ref: '#/definitions/config' } } };
  return schema;
}

function emptyObject() {
  return { type: 'object', properties: {}, additionalProperties: false };
}

function typeOf(value) {
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

// `config` becomes a ConfigMap, which more people may read than a Secret. A URL without credentials is none.
function withoutWrittenSecrets(schema, name) {
  if (Array.isArray(schema)) return schema.map((item) => withoutWrittenSecrets(item));
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, withoutWrittenSecrets(value, key)]),
  );
  if (schema.writeOnly !== true) return copy;
  const url = name === 'url' ? [{ type: 'string', pattern: '^rediss?://[^@]*$' }] : [];
  return { ...copy, anyOf: [...url, ...copy.anyOf.filter(({ type }) => type !== 'string')] };
}

function valuesTable(values) {
  const rows = values
    .filter(({ isLeaf }) => isLeaf)
    .map(({ path, text, value }) => [`\`${path.join('.')}\``, defaultOf(value), text]);
  const cells = [['value', 'default', 'what it is'], ['---', '---', '---'], ...rows];
  return cells.map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n');
}

function defaultOf(value) {
  const isEmpty = value === '' || (typeof value === 'object' && Object.keys(value).length === 0);
  if (isEmpty) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 60 ? 'see values.yaml' : `\`${text}\``;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [path, text] of Object.entries(chartFiles())) writeFileSync(join(root, path), text);
}
