// Whoever is called at night finds what to do: every alert and every code.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { errorCodes } from '../../src/errors.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const runbook = read('docs/runbook.md');

test('every alert has its own heading in the runbook, and no alert is explained that does not exist', () => {
  const { groups } = parse(read('helm/alerts/postern.yaml')) as { groups: { rules: { alert: string }[] }[] };
  const alerts = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
  const explained = Array.from(runbook.matchAll(/^### (\w+)$/gm), ([, name]) => name);
  expect(alerts.length).toBeGreaterThan(5);
  expect(explained.sort()).toEqual(alerts.sort());
});

test('every error code stands among the symptoms, and no code that does not exist', () => {
  const named = new Set(Array.from(runbook.matchAll(/errors\.md#(\w+)/g), ([, code]) => code));
  expect([...named].sort()).toEqual([...errorCodes].sort());
});
