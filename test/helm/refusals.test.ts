// What the chart refuses before anything is installed, and in which words.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { chart, helm, only, renderObjects, run, valuesArguments } from './chart.ts';

const refused: [what: string, example: string, values: object, message: string][] = [
  ['an unknown value', 'minimal', { replicas: 2 }, "additional properties 'replicas' not allowed"],
  [
    'an unknown key in config',
    'minimal',
    { config: { redirects: {} } },
    "additional properties 'redirects' not allowed",
  ],
  ['a config without publicUrl', 'existing-config-map', { existingConfigMap: { name: '' } }, "'publicUrl'"],
  ['a duration without a unit', 'minimal', { config: { session: { idleTimeout: 30 } } }, '/config/session/idleTimeout'],
  [
    'a secret in the text of config',
    'minimal',
    { config: { provider: { clientSecret: 'written' } } },
    '/config/provider/clientSecret',
  ],
  [
    'a Redis password in the text of config',
    'minimal',
    { config: { redis: { url: 'redis://:written@redis:6379' } } },
    '/config/redis/url',
  ],
  ['no image', 'minimal', { image: { repository: '' } }, 'image.repository: say where you pushed'],
  ['replicas without Redis', 'minimal', { replicaCount: 2 }, 'more than one pod needs config.redis'],
  [
    'autoscaling without Redis',
    'minimal',
    { autoscaling: { enabled: true, minReplicas: 1 } },
    'more than one pod needs config.redis',
  ],
  [
    'autoscaling between bounds the wrong way round',
    'production',
    { autoscaling: { minReplicas: 13 } },
    'autoscaling.minReplicas is more than autoscaling.maxReplicas',
  ],
  [
    'an operations listener that probes cannot reach',
    'minimal',
    { config: { operations: { listen: '127.0.0.1:9090' } } },
    'config.operations.listen: 127.0.0.1:9090 is inside the pod only',
  ],
  [
    'an operations listener left to its default, which is loopback',
    'minimal',
    { config: { operations: { listen: null } } },
    'config.operations.listen: 127.0.0.1:9090 is inside the pod only',
  ],
  [
    'a public listener on loopback',
    'minimal',
    { config: { listen: 'localhost:8080' } },
    'config.listen: localhost:8080 is inside the pod only',
  ],
  [
    'a pod that is killed while it finishes',
    'minimal',
    { config: { shutdown: { delay: '1500ms', grace: '1m' } }, lifecycle: { preStop: { sleep: { seconds: 3 } } } },
    'a preStop sleep of 3 seconds and 5 to spare need 95',
  ],
  [
    'a secret file that no Secret brings',
    'minimal',
    { secrets: { existingSecrets: [], createSessionKey: true } },
    'config wants the file /run/secrets/postern/client-secret, and no Secret is mounted there',
  ],
  [
    'an Ingress for a host that Postern would answer with 421',
    'production',
    { ingress: { hosts: [{ host: 'www.example.com' }] } },
    'www.example.com is not the host of config.publicUrl (shop.example.com)',
  ],
  [
    'a route for such a host',
    'gateway-api',
    { httpRoute: { hostnames: ['www.example.com'] } },
    'www.example.com is not the host of config.publicUrl (shop.example.com)',
  ],
  [
    'a route without a gateway',
    'gateway-api',
    { httpRoute: { parentRefs: [] } },
    'httpRoute.parentRefs: name the Gateway',
  ],
  [
    'a config beside a ConfigMap',
    'existing-config-map',
    { config: { publicUrl: 'https://shop.example.com' } },
    'config stands beside existingConfigMap.name',
  ],
  [
    'a policy that cuts off a ConfigMap’s Postern from its provider',
    'existing-config-map',
    { networkPolicy: { enabled: true } },
    'name their ports in networkPolicy.extraEgressPorts, or give networkPolicy.extraEgress',
  ],
  [
    'a Valkey beside another Redis',
    'valkey',
    { config: { redis: { url: 'redis://elsewhere:6379/0' } } },
    'valkey.enabled gives Postern the address and the password of that Valkey: take config.redis out',
  ],
  ['an unknown value of Valkey', 'valkey', { valkey: { size: '1Gi' } }, "additional properties 'size' not allowed"],
  [
    'an unknown value of a Valkey that is not there',
    'minimal',
    { valkey: { size: '1Gi' } },
    "additional properties 'size' not allowed",
  ],
  [
    'a sleep for which the pod has no time',
    'minimal',
    { preStop: { sleepSeconds: 6 } },
    'a preStop sleep of 6 seconds and 5 to spare need 71',
  ],
  [
    'two hooks for one moment',
    'minimal',
    { preStop: { sleepSeconds: 1 }, lifecycle: { preStop: { sleep: { seconds: 1 } } } },
    'preStop.sleepSeconds stands beside lifecycle.preStop',
  ],
  [
    'as many workers as the node has processors',
    'production',
    { config: { workers: 'auto' } },
    'config.workers: auto counts every processor of the node',
  ],
  [
    'more workers than there is memory for',
    'production',
    { config: { workers: 5 } },
    'resources.limits.memory: 512Mi is too little for 5 workers, each of which is a process; give them 704Mi',
  ],
  [
    'more workers, by the processors of the container, than there is memory for',
    'production',
    { config: { workers: 'auto' }, resources: { limits: { cpu: '1500m', memory: '0.2G' } } },
    'resources.limits.memory: 0.2G is too little for 2 workers, each of which is a process; give them 320Mi',
  ],
  [
    'more workers than there are bytes for, where the memory is a plain number',
    'production',
    { config: { workers: 2 }, resources: { limits: { memory: 134217728 } } },
    'resources.limits.memory: 134217728 is too little for 2 workers, each of which is a process; give them 320Mi',
  ],
];

test.each(refused)('%s is refused in words that help', async (_what, example, values, message) => {
  const { code, stderr } = await helm('template', example, values);
  expect(stderr).toContain(message);
  expect(code).not.toBe(0);
});

test('workers that there is memory for are let through', async () => {
  for (const values of [
    { config: { workers: 3 } },
    { config: { workers: 7 }, resources: { limits: { memory: '1Gi' } } },
    { config: { workers: 'auto' }, resources: { limits: { cpu: 2, memory: '320Mi' } } },
    { config: { workers: 8 }, resources: { limits: null } },
    // In bytes, in units that are seldom seen, and in one that the chart cannot read and leaves to Kubernetes.
    ...[536870912, '536870912', '1T', '1Ti', '1P', '1Pi', '1e9', '536870912000m'].map((memory) => ({
      config: { workers: 2 },
      resources: { limits: { memory } },
    })),
  ])
    expect(await helm('template', 'production', values)).toMatchObject({ code: 0 });
});

test('a sleep before the end is Kubernetes’ own, and is refused where Kubernetes has none', async () => {
  const values = { preStop: { sleepSeconds: 5 }, lifecycle: { postStart: { sleep: { seconds: 1 } } } };
  const { lifecycle } = only(await renderObjects('minimal', values), 'Deployment')['spec'].template.spec.containers[0];
  expect(lifecycle).toEqual({ preStop: { sleep: { seconds: 5 } }, postStart: { sleep: { seconds: 1 } } });
  const older = ['template', 'postern', chart, '--kube-version', '1.29.4', ...valuesArguments('minimal')];
  const { stderr } = await run('POSTERN_HELM', older, stringify(values));
  expect(stderr).toContain('preStop.sleepSeconds: Kubernetes v1.29.4 has no sleep of its own');
  expect(await run('POSTERN_HELM', older, '{}')).toMatchObject({ code: 0 });
});

test('a pod has just time enough with the times that are there unless given', async () => {
  expect(await helm('template', 'minimal', { terminationGracePeriodSeconds: 65 })).toMatchObject({ code: 0 });
  const { stderr } = await helm('template', 'minimal', { terminationGracePeriodSeconds: 64 });
  expect(stderr).toContain('config.shutdown.delay (5s), config.shutdown.grace (30s)');
  const schema = JSON.parse(readFileSync(join(chart, '../config/postern.schema.json'), 'utf8'));
  const { shutdown } = schema.properties;
  expect([shutdown.properties.delay.default, shutdown.properties.grace.default]).toEqual(['5s', '30s']);
});
