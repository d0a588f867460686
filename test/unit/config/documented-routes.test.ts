// The examples of docs/routes.md are configurations that load.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { makeCertificate } from '../../support/certificate.ts';
import { load, rightSave } from '../../support/config-text.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/routes.md'), 'utf8');
const examples = Array.from(page.matchAll(/^```yaml\n([^]*?)^```$/gm), ([, text]) => text!);
const { cert, key } = makeCertificate(['orders.internal']);
const files = {
  '/etc/ssl/company-ca.pem': cert,
  '/run/secrets/orders.crt': cert,
  '/run/secrets/orders.key': key,
};

/** An example may be whole, a list of routes, or some keys of one. */
function wholeOf(example: string): string {
  if (example.startsWith('routes:')) return example;
  if (example.startsWith('- ')) return `routes:\n${example}`;
  return `routes:\n- path: /api\n  upstream: http://orders:8080\n${example.replace(/^/gm, '  ')}`;
}

test.each(examples.map((example, index) => [index, example] as const))('example %i loads', (_index, example) => {
  const outcome = load(rightSave(wholeOf(example)), { files });
  expect(outcome.kind === 'ok' ? [] : outcome.problems.map(({ message }) => message)).toEqual([]);
});

test('every key of a route is on the page', () => {
  expect(examples.length).toBeGreaterThan(8);
  const reference = readFileSync(join(import.meta.dirname, '../../../docs/configuration.md'), 'utf8');
  const [, section = ''] = reference.split('\n## routes\n');
  const rows = Array.from(section.split('\n## ')[0]!.matchAll(/^\| `([\w.]+)`/gm), ([, name]) => name!);
  const keys = new Set(rows.map((name) => name.split('.')[0]!));
  expect(keys.size).toBeGreaterThan(15);
  expect([...keys].filter((name) => !new RegExp(`\\b${name}\\b`).test(page))).toEqual([]);
});
