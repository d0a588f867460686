import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { configJsonSchema, formatJsonSchema } from '../../../src/config/json-schema.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { formatReference } from '../../../src/config/reference.ts';
import { sessionKey } from '../../support/config-text.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');

test('config/postern.schema.json is current: postern schema > config/postern.schema.json', () => {
  expect(read('config/postern.schema.json')).toBe(formatJsonSchema());
});

test('docs/configuration.md is current: postern schema --markdown > docs/configuration.md', () => {
  expect(read('docs/configuration.md')).toBe(formatReference());
});

function saidAbout(path: string, env: Record<string, string>): string[] {
  const readFile = (file: string): string => readFileSync(file, 'utf8');
  const outcome = loadConfig({ path: `${root}${path}`, readFile, env, now: Date.now });
  const said = outcome.kind === 'ok' ? outcome.warnings : outcome.problems;
  return said.map((problem) => problem.message);
}

test('the commented reference file loads without a warning', () => {
  const env = {
    POSTERN_CLIENT_SECRET: 'a client secret',
    POSTERN_SESSION_KEY: sessionKey,
    POSTERN_REDIS_URL: 'redis://redis:6379/0',
  };
  expect(saidAbout('config/postern.yaml', env)).toEqual([]);
});

test('the configuration of the demo loads, and is warned only that its sessions end with it', () => {
  const env = { DEMO_CLIENT_SECRET: 'a client secret', DEMO_SESSION_KEY: sessionKey };
  expect(saidAbout('config/demo.yaml', env)).toEqual([expect.stringContaining('sessions live in this process')]);
});

interface Section {
  properties?: Record<string, Section>;
  items?: Section;
  anyOf?: Section[];
  description?: string;
  writeOnly?: boolean;
}

function keysOf(section: Section): string[] {
  if (section.writeOnly === true) return [];
  const own = Object.entries(section.properties ?? {}).flatMap(([key, child]) => [key, ...keysOf(child)]);
  return [
    ...own,
    ...(section.items === undefined ? [] : keysOf(section.items)),
    ...(section.anyOf ?? []).flatMap(keysOf),
  ];
}

test('the commented reference file shows every key, and so does the page', () => {
  const keys = [...new Set(keysOf(configJsonSchema() as Section))];
  expect(keys.length).toBeGreaterThan(60);
  const example = read('config/postern.yaml');
  const page = formatReference();
  expect(keys.filter((key) => !new RegExp(`\\b${key}:`).test(example))).toEqual([]);
  expect(keys.filter((key) => !new RegExp(`\\b${key}\\b`).test(page))).toEqual([]);
});

test('every value in the JSON Schema is described', () => {
  const undescribed: string[] = [];
  const visit = (section: Section, path: string): void => {
    for (const [key, child] of Object.entries(section.properties ?? {})) {
      const isGroup = child.properties !== undefined && child.writeOnly !== true;
      if (child.description === undefined && !isGroup) undescribed.push(`${path}${key}`);
      if (child.writeOnly !== true) visit(child, `${path}${key}.`);
    }
    if (section.items !== undefined && section.items.writeOnly !== true) visit(section.items, path);
    section.anyOf?.forEach((one) => visit(one, path));
  };
  visit(configJsonSchema() as Section, '');
  expect(undescribed).toEqual([]);
});

test('the JSON Schema is draft-07, which is what editors understand, and closed', () => {
  const schema = configJsonSchema();
  expect(schema.$schema).toBe('http://json-schema.org/draft-07/schema#');
  expect(schema.additionalProperties).toBe(false);
  expect(schema.required).toEqual(['publicUrl', 'provider', 'session']);
});
