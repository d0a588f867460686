// The alerts as Prometheus' own promtool sees them: whether the rules load, when each fires, and that nobody is called for nothing.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { findPromtool } from '../../scripts/optional-programs.js';
import { ordinary } from './alerts/ordinary-days.ts';
import { outages } from './alerts/outages.ts';
import { requestsAndChanges } from './alerts/requests-and-changes.ts';
import { only, renderObjects } from './chart.ts';

const promtool = findPromtool();
const unless = promtool === undefined ? ': NOT tested, there is no promtool here' : '';
const testWithPromtool = promtool === undefined ? test.skip : test;

interface Rule {
  alert: string;
  expr: string;
  for?: string;
}

const scenarios = { ...outages, ...requestsAndChanges };
const release = 'job="postern-operations", namespace="default"';
let folder: string;
let groups: { name: string; rules: Rule[] }[];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-alerts-'));
  ({ groups } = only(await renderObjects('production'), 'PrometheusRule')['spec']);
  writeFileSync(join(folder, 'rules.yaml'), stringify({ groups }));
  // What is compared is when an alert fires and with which labels of the series, not how it is put.
  const bare = groups.map(({ name, rules }) => ({
    name,
    rules: rules.map(({ alert, expr, for: wait = '0s' }) => ({ alert, expr, for: wait })),
  }));
  writeFileSync(join(folder, 'bare.yaml'), stringify({ groups: bare }));
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(promtool!, args, { cwd: folder, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

/** Has promtool look at an alert, or several, while these series come in; they are the release's unless they say whose. */
function look(
  series: Record<string, string>,
  expected: { alertname: string; eval_time: string; exp_alerts: object[] }[],
): { status: number | null; output: string } {
  const ours = (name: string): string => {
    if (name.includes('namespace=')) return name;
    return name.includes('{}') || !name.includes('{')
      ? `${name.replace('{}', '')}{${release}}`
      : name.replace('{', `{${release}, `);
  };
  const input_series = Object.entries(series).map(([name, values]) => ({ series: ours(name), values }));
  const tests = [{ interval: '30s', input_series, alert_rule_test: expected }];
  writeFileSync(
    join(folder, 'test.yaml'),
    JSON.stringify({ rule_files: ['bare.yaml'], evaluation_interval: '30s', tests }),
  );
  return run('test', 'rules', 'test.yaml');
}

testWithPromtool(`promtool finds nothing wrong with the rules${unless}`, () => {
  expect(run('check', 'rules', 'rules.yaml')).toEqual({
    status: 0,
    output: expect.stringContaining(`SUCCESS: ${groups[0]!.rules.length} rules found`),
  });
});

test('for every alert there is a scenario in which it fires and one in which it does not', () => {
  const alerts = groups[0]!.rules.map(({ alert }) => alert);
  expect(Object.keys(scenarios).sort()).toEqual(alerts.sort());
  for (const [alert, all] of Object.entries(scenarios)) {
    const kinds = new Set(all.map(({ fires }) => fires !== undefined));
    expect({ alert, kinds: kinds.size }).toEqual({ alert, kinds: 2 });
  }
});

describe.each(Object.entries(scenarios))('%s', (alertname, all) => {
  testWithPromtool.each(all)(`$what${unless}`, ({ series, at, fires }) => {
    const exp_alerts = fires === undefined ? [] : [{ exp_labels: { ...fires } }];
    const expected = at.map((eval_time) => ({ alertname, eval_time, exp_alerts }));
    expect(look(series, expected)).toEqual({ status: 0, output: expect.stringContaining('SUCCESS') });
  });
});

const everyAlertSilent = () =>
  groups[0]!.rules.flatMap(({ alert }) =>
    Array.from({ length: 60 }, (_, minute) => ({ alertname: alert, eval_time: `${minute}m`, exp_alerts: [] })),
  );

testWithPromtool.each(Object.entries(ordinary))(`nobody is called for %s${unless}`, (_what, series) => {
  expect(look(series, everyAlertSilent())).toEqual({ status: 0, output: expect.stringContaining('SUCCESS') });
});

testWithPromtool(`nobody is called for a release of the same name in another namespace${unless}`, () => {
  const firing = Object.entries(scenarios)
    .filter(([alert]) => alert !== 'PosternAbsent')
    .flatMap(([, all]) => all.filter(({ fires }) => fires !== undefined))
    .flatMap(({ series }) => Object.entries(series))
    .map(([name, values]) => {
      const [metric, labels = ''] = name.split(/[{}]/);
      return [`${metric}{job="postern-operations", namespace="staging", ${labels}}`.replace(', }', '}'), values];
    });
  const series = { ...Object.fromEntries(firing), ...ordinary['a night without traffic'] };
  expect(look(series, everyAlertSilent())).toEqual({ status: 0, output: expect.stringContaining('SUCCESS') });
});
