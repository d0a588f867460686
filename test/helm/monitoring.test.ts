// The alerts and the dashboard ask only for what Postern counts, in PromQL that Prometheus accepts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { chart, only, renderObjects, run } from './chart.ts';

const read = (path: string): string => readFileSync(join(chart, path), 'utf8');
const dashboard = JSON.parse(read('dashboards/postern.json'));
const alerts = parse(read('alerts/postern.yaml')).groups[0].rules as {
  alert: string;
  expr: string;
  annotations: any;
}[];

const queries: string[] = dashboard.panels
  .flatMap(({ targets }: { targets?: { expr: string }[] }) => targets ?? [])
  // Grafana puts a duration there.
  .map(({ expr }: { expr: string }) => expr.replaceAll('$__rate_interval', '5m'));

interface Parsed {
  text: string;
  problem?: string;
  selectors: { metric: string; labels: Record<string, string> }[];
}

async function parsePromQl(expressions: string[]): Promise<Parsed[]> {
  const { stdout } = await run('POSTERN_OBJECTS', ['-promql'], JSON.stringify(expressions));
  return JSON.parse(stdout) as Parsed[];
}

// A histogram is three series; `le` is a label of one of them.
async function exposed(): Promise<Map<string, string[]>> {
  const { registry } = createMetrics();
  const types = new Map((await registry.getMetricsAsJSON()).map(({ name, type }) => [name, type.toString()]));
  const series = registry.getMetricsAsArray().flatMap((metric): [string, string[]][] => {
    const labels = 'labelNames' in metric ? (metric.labelNames as string[]) : [];
    if (types.get(metric.name) !== 'histogram') return [[metric.name, labels]];
    return ['_bucket', '_sum', '_count'].map((end) => [metric.name + end, [...labels, 'le']]);
  });
  return new Map(series);
}

test('there are queries and alerts to look at', () => {
  expect(queries.length).toBeGreaterThan(20);
  expect(alerts.length).toBeGreaterThan(10);
});

test.each(['dashboard', 'alerts'])('every metric and label of the %s exists', async (where) => {
  const series = await exposed();
  const expressions = where === 'dashboard' ? queries : alerts.map(({ expr }) => expr);
  for (const { text, problem, selectors } of await parsePromQl(expressions)) {
    expect({ text, problem }).toEqual({ text, problem: undefined });
    expect(selectors.length).toBeGreaterThan(0);
    for (const { metric, labels } of selectors) {
      const known = series.get(metric);
      expect({ text, metric: known === undefined ? `no ${metric}` : metric }).toEqual({ text, metric });
      // Prometheus itself adds these; the last two are of Kubernetes.
      const grouped = Array.from(text.matchAll(/\b(?:by|without) \(([^)]*)\)/g), ([, names]) =>
        names!.split(/, ?/),
      ).flat();
      for (const label of [...Object.keys(labels), ...grouped])
        expect([...known!, 'job', 'instance', 'namespace', 'pod']).toContain(label);
    }
  }
});

test('every panel shows the releases that are chosen, by namespace and by job', async () => {
  for (const { text, selectors } of await parsePromQl(queries)) {
    for (const { labels } of selectors)
      expect({ text, ...labels }).toMatchObject({ namespace: '$namespace', job: '$job' });
  }
});

test('a panel of counts goes on over a restart: each pod is counted for itself before they are added up', () => {
  for (const query of queries.filter((query) => /_(total|count|sum|bucket)\{/.test(query)))
    expect(query).toMatch(/(rate|increase)\(\w+\{[^}]*\}\[5m\]\)/);
});

test('every metric of Postern is on the dashboard or watched by an alert', async () => {
  const names = createMetrics()
    .registry.getMetricsAsArray()
    .map(({ name }) => name)
    .filter((name) => /^(postern|http)_/.test(name));
  const asked = (await parsePromQl([...queries, ...alerts.map(({ expr }) => expr)])).flatMap(({ selectors }) =>
    selectors.map(({ metric }) => metric.replace(/_(bucket|sum|count)$/, '')),
  );
  expect(names.filter((name) => !asked.includes(name))).toEqual([]);
});

test('every alert says what it means, and none is there twice', () => {
  for (const { alert, annotations } of alerts) {
    expect({ alert, ...annotations }).toEqual({ alert, summary: expect.any(String), description: expect.any(String) });
  }
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
});

test('every alert looks at the pods of its own release', async () => {
  const objects = await renderObjects('production', { fullnameOverride: 'shop' });
  const rules = only(objects, 'PrometheusRule')['spec'].groups[0].rules as { expr: string }[];
  // The job of a ServiceMonitor's target is the name of its Service.
  const service = only(objects, 'Service', '-operations').metadata.name;
  expect(rules).toHaveLength(alerts.length);
  for (const { labels } of (await parsePromQl(rules.map(({ expr }) => expr))).flatMap(({ selectors }) => selectors)) {
    expect(labels).toMatchObject({ job: service, namespace: 'default' });
  }
});

test('every alert leads to its own heading of the runbook, where the runbook can be read', async () => {
  const at = async (runbookUrl: string): Promise<{ runbook_url?: string; summary: string }[]> => {
    const objects = await renderObjects('production', { metrics: { prometheusRule: { runbookUrl } } });
    const { rules } = only(objects, 'PrometheusRule')['spec'].groups[0];
    return rules.map(({ annotations }: { annotations: object }) => annotations);
  };
  const headings = Array.from(
    readFileSync(join(chart, '../docs/runbook.md'), 'utf8').matchAll(/^### (.+)$/gm),
    // How GitHub and the generators of documentation make an anchor of one word.
    ([, heading]) => heading!.toLowerCase(),
  );
  const url = 'https://docs.example.com/runbook.html';
  const annotations = await at(url);
  expect(annotations.map(({ runbook_url }) => runbook_url)).toEqual(
    alerts.map(({ alert }) => `${url}#${alert.toLowerCase()}`),
  );
  for (const { runbook_url, summary } of annotations) {
    expect(headings).toContain(runbook_url!.split('#')[1]);
    expect(summary).not.toBe('');
  }
  for (const without of await at('')) expect(without).not.toHaveProperty('runbook_url');
});

test('an alert can be left out by name', async () => {
  const values = { metrics: { prometheusRule: { disabled: ['PosternAbsent'] } } };
  const { groups } = only(await renderObjects('production', values), 'PrometheusRule')['spec'];
  expect(groups[0].rules.map(({ alert }: { alert: string }) => alert)).toEqual(
    alerts.map(({ alert }) => alert).filter((alert) => alert !== 'PosternAbsent'),
  );
});
