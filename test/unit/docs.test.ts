// The pages say what the code does: every code, every endpoint, every link.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { logModules } from '../../src/config/log-schema.ts';
import { errorCodes, statusOf, titleOf } from '../../src/errors.ts';
import { auditEvents, fieldsOf } from '../../src/telemetry/audit.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { endpointsOf, endpointsOfApp } from '../support/documented-endpoints.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const errorPage = read('docs/errors.md');

test.each(errorCodes)('the code %s is explained under its own anchor, with its status and title', (code) => {
  expect(errorPage).toContain(`\n### ${code}\n\n${statusOf(code)} · ${titleOf(code)}\n\n`);
});

test('no code is explained that does not exist', () => {
  const explained = Array.from(errorPage.matchAll(/^### (\w+)$/gm), ([, code]) => code);
  expect(explained.sort()).toEqual([...errorCodes].sort());
});

test('the page of endpoints has every endpoint of the application and no other', () => {
  const [application, operations] = read('docs/endpoints.md').split('On the operations listener');
  expect(endpointsOf(application!)).toEqual(endpointsOfApp());
  expect(endpointsOf(operations!)).toEqual([
    'DELETE /admin/sessions',
    'GET /admin/sessions',
    'GET /livez',
    'GET /metrics',
    'GET /readyz',
  ]);
});

test('the page of metrics has every metric that Postern registers, with its labels, and no other', () => {
  const rows = Array.from(read('docs/metrics.md').matchAll(/^\| `(\w+)` +\| ([^|]*)\|/gm), ([, name, labels]) => ({
    name,
    labels: Array.from(labels!.matchAll(/`(\w+)`/g), ([, label]) => label),
  }));
  const registered = createMetrics()
    .registry.getMetricsAsArray()
    .map((metric) => ({ name: metric.name, labels: 'labelNames' in metric ? metric.labelNames : [] }))
    .filter(({ name }) => /^(postern|http)_/.test(name));
  expect(registered.length).toBeGreaterThan(10);
  expect(rows).toEqual(registered);
});

test('the page of logs has every audit event with the fields that it carries, and no other', () => {
  const section = read('docs/logging-and-tracing.md').split('\n## Audit events\n')[1]!.split('\n## ')[0]!;
  const rows = Array.from(section.matchAll(/^\| `(\w+)` +\| ([^|]*)\|/gm), ([, event, fields]) => [
    event,
    Array.from(fields!.matchAll(/`(\w+)`/g), ([, field]) => field),
  ]);
  const written = Object.entries(auditEvents).map(([event, { carries }]) => [
    event,
    carries.flatMap((fact) => [...fieldsOf[fact]]),
  ]);
  expect(rows).toEqual(written);
});

test('the page of logs has every module that can have a level of its own', () => {
  const section = read('docs/logging-and-tracing.md').split('\n## The line of a request\n')[0]!;
  expect(Array.from(section.matchAll(/^\| `(\w+)` /gm), ([, module]) => module)).toEqual(logModules);
});

test('the list of pages names every page of the documentation', () => {
  const list = read('docs/README.md');
  const others = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md') && name !== 'README.md');
  expect(others.filter((name) => !list.includes(`](${name})`))).toEqual([]);
});

const pages = ['README.md', 'src/README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];

test.each(pages.filter((page) => page.endsWith('.md')))('every link of %s leads somewhere', (page) => {
  const targets = Array.from(read(page).matchAll(/\]\((?!https?:)([^)#]*)(#[^)]*)?\)/g), ([, path, anchor]) => ({
    path: join(root, path === '' ? page : join(dirname(page), path!)),
    anchor: anchor?.slice(1),
  }));
  const broken = targets.filter(
    ({ path, anchor }) => !existsSync(path) || (anchor !== undefined && !anchorsOf(path).includes(anchor)),
  );
  expect(broken).toEqual([]);
});

function anchorsOf(path: string): string[] {
  return Array.from(readFileSync(path, 'utf8').matchAll(/^#+ (.+)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
