// The front page is tried by every newcomer: what it says must be so.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import type { LoadOutcome } from '../../src/config/load.ts';
import { sessionKey } from '../support/config-text.ts';
import { endpointsOf, endpointsOfApp } from '../support/documented-endpoints.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const readme = read('README.md');
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

/** The first fenced block of a language. */
function block(language: string): string {
  return new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(readme)![1]!;
}

test('every npm script that the front page names exists', () => {
  const named = Array.from(readme.matchAll(/(?:`|^ {4})npm (?:run )?([a-z:]+)/gm), ([, name]) => name!);
  expect(named.length).toBeGreaterThan(4);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});

function load(text: string): LoadOutcome {
  return loadConfig({
    path: '/srv/postern.yaml',
    readFile: (path) => (path === '/srv/postern.yaml' ? text : '<!doctype html>'),
    env: {
      POSTERN_CLIENT_SECRET: 'a client secret',
      POSTERN_SESSION_KEY: sessionKey,
      POSTERN_REDIS_URL: 'redis://redis:6379',
    },
    now: Date.now,
  });
}

test('the configuration on the front page loads without a complaint, and with what it says of production without a warning', () => {
  const [development, production, ...others] = Array.from(
    readme.matchAll(/```yaml\n(.*?)```/gs),
    ([, text]) => parse(text!) as object,
  );
  expect(others).toEqual([]);
  expect(load(JSON.stringify(development))).toMatchObject({ kind: 'ok' });
  expect(load(JSON.stringify({ ...development, ...production }))).toMatchObject({ kind: 'ok', warnings: [] });
});

test('the demo prints what the front page shows', () => {
  const source = read('examples/demo/start.ts');
  const seconds = /accessTokenSeconds = (\d+)/.exec(read('examples/demo/provider.ts'))![1]!;
  const shown = block('text')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('http'));
  expect(shown.length).toBeGreaterThan(5);
  expect(
    shown.filter((line) => !source.includes(line.replace(`${seconds} seconds`, '${accessTokenSeconds} seconds'))),
  ).toEqual([]);
});

test('the options of the demo that the front page names exist', () => {
  const source = read('examples/demo/start.ts');
  const named = Array.from(readme.matchAll(/--(port|redis|opaque|[a-z]+) ?(?=[\w`])/g), ([, name]) => name!);
  expect(named).toEqual(expect.arrayContaining(['port', 'redis', 'opaque']));
  expect(named.filter((name) => !source.includes(`  --${name} `))).toEqual([]);
});

test('the table of endpoints has every endpoint of the application and no other', () => {
  expect(endpointsOf(readme)).toEqual(endpointsOfApp());
});

test('nothing that has an endpoint is said to be missing', () => {
  const words = (text: string): string => text.toLowerCase().replaceAll(/[^a-z]/g, '');
  const missing = words(/^Not in Postern yet: (.*)$/m.exec(readme)![1]!);
  const named = endpointsOf(readme).filter((endpoint) => missing.includes(words(endpoint.split('/bff/')[1]!)));
  expect(named).toEqual([]);
});

test('the front page speaks of the Node and the cookie that are really used', () => {
  expect(readme).toContain('`__Host-Http-postern`');
  expect(read('package.json')).toContain('"node": "^24.18.1 || >=26.5.1"');
});
