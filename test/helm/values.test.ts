// Every value does something: another value renders something else.
import { expect, test } from '@jest/globals';
import { allValues } from '../../scripts/chart.js';
import { render } from './chart.ts';

const values = allValues().filter(({ isLeaf }) => isLeaf);

// What has to be so for the value to count.
const everything = {
  autoscaling: { enabled: true },
  ingress: { enabled: true },
  httpRoute: { enabled: true, parentRefs: [{ name: 'public' }] },
  networkPolicy: { enabled: true },
  metrics: { serviceMonitor: { enabled: true }, prometheusRule: { enabled: true }, dashboard: { enabled: true } },
  config: { forwardAuth: { listen: '0.0.0.0:9091' } },
};
const circumstances: Record<string, object> = {
  replicaCount: { autoscaling: { enabled: false } },
  'valkey.enabled': { replicaCount: 1 },
  // With `config` the host is known, and no other would do.
  'httpRoute.hostnames': { httpRoute: { enabled: true, parentRefs: [{ name: 'public' }] } },
};
const exampleOf = (name: string): string => {
  if (name.startsWith('existingConfigMap.') || name === 'httpRoute.hostnames') return 'existing-config-map';
  return name.startsWith('valkey.') ? 'valkey' : 'production';
};

// Where a value of the right type is not enough.
const others: Record<string, unknown> = {
  'image.digest': `sha256:${'1'.repeat(64)}`,
  'image.pullPolicy': 'Always',
  'valkey.image.digest': `sha256:${'1'.repeat(64)}`,
  'valkey.image.pullPolicy': 'Always',
  'valkey.enabled': false,
  'valkey.maxMemory': '200mb',
  'valkey.extraArgs': ['--loglevel'],
  'existingConfigMap.name': 'another',
  'existingConfigMap.ports.http': 8082,
  'existingConfigMap.ports.operations': 9192,
  'autoscaling.minReplicas': 4,
  'service.type': 'NodePort',
  'service.ipFamilyPolicy': 'SingleStack',
  'ingress.hosts': [{ host: 'shop.example.com', paths: [{ path: '/bff' }] }],
  'httpRoute.hostnames': ['shop.example.com'],
  'httpRoute.rules': [{ timeouts: { request: '0s' } }],
  'metrics.prometheusRule.runbookUrl': 'https://docs.example.com/runbook',
  'metrics.prometheusRule.disabled': ['PosternAbsent'],
  'networkPolicy.extraEgressPorts': [6390],
  'secrets.existingSecrets': ['postern', 'postern-redis', 'another'],
  extraObjects: ['kind: Another'],
  config: { log: { level: 'debug' } },
};

function another(name: string, value: unknown): unknown {
  if (name in others) return others[name];
  if (Array.isArray(value)) return [{ name: 'another' }];
  switch (typeof value) {
    case 'string':
      return 'another';
    case 'number':
      return value + 1;
    case 'boolean':
      return !value;
    default:
      return { another: 'one' };
  }
}

const rendered = new Map<string, Promise<string>>();

function renderOnce(example: string, base: object): Promise<string> {
  const key = JSON.stringify([example, base]);
  const known = rendered.get(key) ?? render(example, base);
  rendered.set(key, known);
  return known;
}

function nested(path: string[], value: unknown): object {
  return path.reduceRight((inner, key) => ({ [key]: inner }), value as object);
}

function merged(one: any, other: any): any {
  if (!isMap(one) || !isMap(other)) return other === undefined ? one : other;
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...keys].map((key) => [key, merged(one[key], other[key])]));
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

test.each(values.map(({ path, value }) => ({ name: path.join('.'), path, value })))(
  'the value $name changes what is installed',
  async ({ name, path, value }) => {
    const example = exampleOf(name);
    const base = merged(example === 'production' ? everything : {}, circumstances[name] ?? {});
    const before = await renderOnce(example, base);
    const current = path.reduce((inner, key) => inner?.[key], base) ?? value;
    const after = await render(example, merged(base, nested(path, another(name, current))));
    expect(after === before).toBe(false);
    // Text that was given is there as it was given.
    if (another(name, current) === 'another') expect(after).toContain('another');
  },
);

test('a chart that contains this one may have global values of its own', async () => {
  await expect(render('minimal', { global: { theirs: true } })).resolves.toContain('kind: Deployment');
});
