// Every example of values that the chart carries: helm accepts it, Kubernetes would, Postern would, and its parts fit together.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { sessionKey } from '../support/config-text.ts';
import { configurationIn, examples, helm, only, render, renderObjects, run } from './chart.ts';
import type { KubernetesObject } from './chart.ts';

const root = join(import.meta.dirname, '../..');

/** Secrets, the app and the environment as a pod would have them, under a folder of this machine. */
async function check(configuration: string): Promise<{ code: number | null; stderr: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-chart-'));
  const secrets = {
    'client-secret': 'a secret',
    'session-key': sessionKey,
    'redis-password': 'another',
    'valkey-password': 'another',
  };
  for (const [name, secret] of Object.entries(secrets)) writeFileSync(join(folder, name), secret);
  mkdirSync(join(folder, 'app'));
  writeFileSync(join(folder, 'app/index.html'), '<!doctype html>');
  const here = configuration.replaceAll('/run/secrets/postern', folder).replaceAll('/srv/app', join(folder, 'app'));
  writeFileSync(join(folder, 'postern.yaml'), here);
  const args = [join(root, 'src/main.ts'), 'check', '--config', join(folder, 'postern.yaml')];
  const child = spawn(process.execPath, args, { env: { REDIS_PASSWORD: 'another' } });
  const [stderr] = await Promise.all([text(child.stderr), once(child, 'close')]);
  rmSync(folder, { recursive: true });
  return { code: child.exitCode, stderr };
}

describe.each(examples)('the example %s', (example) => {
  test('passes helm lint', async () => {
    expect(await helm('lint', example)).toMatchObject({ code: 0 });
  });

  test('is what Kubernetes, the Prometheus Operator and the Gateway API accept, every object and every field', async () => {
    const schemas = [
      '-kubernetes',
      process.env['POSTERN_KUBERNETES_SCHEMA']!,
      '-crd',
      process.env['POSTERN_HTTPROUTE_SCHEMA']!,
    ];
    const { stdout, stderr } = await run('POSTERN_OBJECTS', schemas, await render(example));
    expect(stderr).toBe('');
    const findings = JSON.parse(stdout) as { kind: string; name: string; problems: string[] }[];
    expect(findings.length).toBeGreaterThan(4);
    for (const { name } of findings) expect(name).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
    expect(findings.filter(({ problems }) => problems.length > 0)).toEqual([]);
  });

  test('holds a configuration that Postern accepts', async () => {
    const objects = await renderObjects(example);
    if (example === 'existing-config-map') expect(objects.some(({ kind }) => kind === 'ConfigMap')).toBe(false);
    else expect(await check(configurationIn(objects))).toMatchObject({ code: 0 });
  });

  test('has selectors that find the pods, and ports, volumes and accounts that exist', async () => {
    const objects = await renderObjects(example);
    const pods = objects
      .filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet')
      .map(({ spec }) => spec.template as { metadata: { labels: Record<string, string> }; spec: any });
    const findPod = (selector: Record<string, string>) =>
      pods.filter(({ metadata }) => Object.entries(selector).every(([key, value]) => metadata.labels[key] === value));
    for (const { metadata, spec } of objects.filter(({ kind }) => kind === 'Service')) {
      const [pod, ...others] = findPod(spec.selector);
      expect({ service: metadata.name, others }).toEqual({ service: metadata.name, others: [] });
      const ports = pod!.spec.containers[0].ports.map(({ name }: { name: string }) => name);
      expect(ports).toContain(spec.ports[0].targetPort);
    }
    for (const { kind, spec } of objects) {
      const selector = { PodDisruptionBudget: spec?.selector, NetworkPolicy: spec?.podSelector }[kind];
      if (selector !== undefined) expect(findPod(selector.matchLabels)).toHaveLength(1);
    }
    for (const pod of pods) {
      const claims = pod.spec.volumes === undefined ? ['data'] : [];
      const volumes = [...claims, ...(pod.spec.volumes ?? []).map(({ name }: { name: string }) => name)];
      for (const { volumeMounts = [] } of pod.spec.containers) {
        for (const { name } of volumeMounts) expect(volumes).toContain(name);
      }
    }
    const accounts = objects.filter(({ kind }) => kind === 'ServiceAccount').map(({ metadata }) => metadata.name);
    const wanted = only(objects, 'Deployment')['spec'].template.spec.serviceAccountName;
    expect([...accounts, 'default']).toContain(wanted);
  });

  test('runs everything without root, without privileges and on a file system that cannot be written', async () => {
    for (const { spec } of (await renderObjects(example)).flatMap(podsOf)) {
      expect(spec).toMatchObject({
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      });
      for (const { securityContext } of spec.containers) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
      }
    }
  });
});

function podsOf(object: KubernetesObject): { spec: any }[] {
  if (object.kind === 'Pod') return [{ spec: object['spec'] }];
  return object['spec']?.template === undefined ? [] : [object['spec'].template];
}

test('what stands under config reaches Postern word for word', async () => {
  const config = {
    routes: [
      {
        path: '/api',
        upstream: 'http://orders:8080',
        headers: { request: { set: { 'X-Odd': '{{ .Values }} "\'#: no' } } },
      },
    ],
    limits: { streams: 12_345_678 },
  };
  expect(parse(configurationIn(await renderObjects('minimal', { config })))).toMatchObject(config);
});

test('a change of config replaces the pods; with restartOnConfigChange: false it does not', async () => {
  const annotations = async (values: object): Promise<object | undefined> =>
    only(await renderObjects('minimal', values), 'Deployment')['spec'].template.metadata.annotations;
  const changed = { config: { log: { level: 'debug' } } };
  expect(await annotations({})).toEqual(await annotations({}));
  expect(await annotations(changed)).not.toEqual(await annotations({}));
  expect(await annotations({ ...changed, restartOnConfigChange: false })).toBeUndefined();
});

test('the operations port is on no Service that an Ingress or a route leads to', async () => {
  for (const example of ['production', 'gateway-api']) {
    const objects = await renderObjects(example);
    const { spec } = objects.find(({ kind }) => kind === 'Ingress' || kind === 'HTTPRoute')!;
    const path = spec.rules[0].http?.paths[0].backend.service ?? spec.rules[0].backendRefs[0];
    const service = objects.find(({ kind, metadata }) => kind === 'Service' && metadata.name === path.name)!;
    expect(service['spec'].ports.map(({ targetPort }: { targetPort: string }) => targetPort)).toEqual(['http']);
  }
});

test('Prometheus is led to the operations port of every pod', async () => {
  const objects = await renderObjects('production');
  const { spec } = only(objects, 'ServiceMonitor');
  const service = only(objects, 'Service', '-operations');
  expect(service.metadata.labels).toMatchObject(spec.selector.matchLabels);
  expect(only(objects, 'Service', 'postern').metadata.labels).not.toMatchObject(spec.selector.matchLabels);
  expect(service['spec']).toMatchObject({
    clusterIP: 'None',
    ports: [{ name: 'operations', targetPort: 'operations' }],
  });
  expect(spec.endpoints).toMatchObject([{ port: 'operations', path: '/metrics' }]);
});

test('the policy lets out to the ports of the provider, Redis and the upstreams, and no further', async () => {
  const egress = async (example: string): Promise<number[]> =>
    only(await renderObjects(example), 'NetworkPolicy', 'postern')['spec'].egress[1].ports.map(
      ({ port }: { port: number }) => port,
    );
  expect((await egress('production')).sort()).toEqual([443, 6379, 6380, 8080]);
  expect((await egress('gateway-api')).sort()).toEqual([26379, 6379, 8080, 8443]);
});

test.each([{ extraEgressPorts: [443, 6379] }, { extraEgress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }] }])(
  'with a ConfigMap of the user’s own, the policy lets out to where it is told: %j',
  async (way) => {
    const objects = await renderObjects('existing-config-map', { networkPolicy: { enabled: true, ...way } });
    const { egress } = only(objects, 'NetworkPolicy')['spec'];
    const told = 'extraEgress' in way ? egress[2] : egress[1].ports.map(({ port }: { port: number }) => port);
    expect(told).toEqual(way.extraEgress?.[0] ?? way.extraEgressPorts);
  },
);

test('with a ConfigMap of the user’s own, gateways ask at the port that is told', async () => {
  const objects = await renderObjects('existing-config-map', { existingConfigMap: { ports: { forwardAuth: 9393 } } });
  expect(only(objects, 'Service', '-forward-auth')['spec'].ports).toMatchObject([{ port: 9393 }]);
  const [container] = only(objects, 'Deployment')['spec'].template.spec.containers;
  expect(container.ports).toContainEqual({ name: 'forward-auth', containerPort: 9393 });
});

test('the policy lets nobody ask for decisions that carry tokens unless told who', async () => {
  const ports = async (values: object): Promise<string[]> =>
    only(await renderObjects('gateway-api', values), 'NetworkPolicy')['spec'].ingress.map(
      (rule: { ports: { port: string }[] }) => rule.ports[0]!.port,
    );
  expect(await ports({})).toEqual(['http', 'operations', 'forward-auth']);
  expect(await ports({ networkPolicy: { forwardAuthFrom: [] } })).toEqual(['http', 'operations']);
});

test('the containers start what the image starts, as the user that the image names', async () => {
  const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8');
  const { template } = only(await renderObjects('minimal'), 'Deployment')['spec'];
  const command = JSON.parse(/^CMD (\[.*\])$/m.exec(dockerfile)![1]!) as string[];
  expect(template.spec.containers[0].args).toEqual([...command, '--config', '/etc/postern/postern.yaml']);
  const { runAsUser, runAsGroup } = template.spec.securityContext;
  expect(dockerfile).toContain(`\nUSER ${runAsUser}:${runAsGroup}\n`);
});

test('what helm test asks of the pods runs in Node as it stands', async () => {
  const { args } = only(await renderObjects('minimal'), 'Pod')['spec'].containers[1];
  const child = spawn(process.execPath, args.slice(1));
  const [stderr] = await Promise.all([text(child.stderr), once(child, 'close')]);
  // The name is known in the cluster only: it is asked for, and that is all that goes wrong.
  expect(stderr).toContain('getaddrinfo');
  expect(stderr).not.toContain('SyntaxError');
});
