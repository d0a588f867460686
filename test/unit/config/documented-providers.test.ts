// The examples of docs/providers.md are configurations that load, without a warning of their own.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { keycloakVersion } from '../../../scripts/keycloak.js';
import { endpointsOfApp } from '../../support/documented-endpoints.ts';
import { complaintsAbout, rightSave } from '../../support/config-text.ts';

const root = join(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/providers.md'), 'utf8');
const sections = page.split(/^## /m).map((section) => ({
  name: section.slice(0, section.indexOf('\n')),
  examples: Array.from(section.matchAll(/^```yaml\n([^]*?)^```$/gm), ([, text]) => text!),
}));
const examples = sections.flatMap(({ name, examples: texts }) => texts.map((text) => [name, text] as const));

test.each(examples)('the example of %s loads without a complaint', (_name, text) => {
  expect(complaintsAbout(rightSave(text))).toEqual([]);
});

test('every provider has an example', () => {
  expect(examples.length).toBeGreaterThan(14);
  const without = sections.slice(1).filter(({ examples: texts }) => texts.length === 0);
  expect(without.map(({ name }) => name)).toEqual(['What to register', 'Not possible yet']);
});

test('what is to be registered are endpoints of Postern', () => {
  const named = Array.from(page.matchAll(/`<publicUrl>(\/bff\/[\w/-]+)`/g), ([, path]) => path!);
  expect(named.length).toBeGreaterThan(3);
  const paths = endpointsOfApp().map((endpoint) => endpoint.split(' ')[1]);
  for (const path of named) expect(paths).toContain(path);
});

test('the page names the versions that were really run', () => {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  expect(page).toContain(`**Keycloak** (${keycloakVersion},`);
  expect(page).toContain(`**oidc-provider** (${devDependencies['oidc-provider']!.replace(/\.\d+$/, '')},`);
});
