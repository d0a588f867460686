// What the chart says of itself and of Postern is what is so. The chart as helm renders it: test/helm.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { allValues, chartFiles } from '../../scripts/chart.js';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const values = allValues();

test.each(Object.keys(chartFiles()))(
  '%s is what npm run chart makes of the values and of the schema of the configuration',
  (path) => {
    expect(read(path)).toBe(chartFiles()[path]);
  },
);

test('every value has a sentence that says what it is', () => {
  const leaves = values.filter(({ isLeaf }) => isLeaf).map(({ path }) => path.join('.'));
  const said = (path: string[]): boolean => path.some((_, i) => leaves.includes(path.slice(0, i + 1).join('.')));
  const own = parse(read('helm/values.yaml')) as object;
  const valkey = parse(read('helm/charts/valkey/values.yaml')) as Record<string, unknown>;
  delete valkey['global'];
  expect([...pathsOf(own), ...pathsOf({ valkey })].filter((path) => !said(path))).toEqual([]);
  for (const { text } of values) expect(text).toMatch(/[.`]$/);
});

test('the chart installs this version of Postern', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  expect(parse(read('helm/Chart.yaml'))).toMatchObject({ appVersion: version });
});

test('the chart says of the Valkey in it which version and which image that is', () => {
  const { dependencies, annotations } = parse(read('helm/Chart.yaml'));
  const { name, version, appVersion } = parse(read('helm/charts/valkey/Chart.yaml'));
  const { registry, repository, tag } = parse(read('helm/charts/valkey/values.yaml')).image;
  expect(dependencies).toEqual([{ name, version, repository: '', condition: 'valkey.enabled' }]);
  expect(parse(annotations['artifacthub.io/images'])).toEqual([{ name, image: `${registry}/${repository}:${tag}` }]);
  expect(tag).toMatch(new RegExp(`^${appVersion}-`));
});

function pathsOf(value: unknown, path: string[] = []): string[][] {
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
  return isMap ? Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, key])) : [path];
}
