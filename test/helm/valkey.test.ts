// The Valkey in charts/valkey: a chart of its own in this one, whose server starts as it stands and is Postern's alone.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { until } from '../support/until.ts';
import { chart, configurationIn, only, renderObjects, run, valuesArguments } from './chart.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-valkey-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const inner = join(chart, 'charts/valkey');
const helmDoes = (...args: string[]) => run('POSTERN_HELM', args);

test('nothing has to be fetched for Valkey: its chart lies in ours, in the version that ours wants', async () => {
  const { stdout } = await helmDoes('dependency', 'list', chart);
  expect(stdout).toMatch(/^valkey\s+0\.1\.0\s+unpacked\s*$/m);
});

test('a package of the chart holds the one of Valkey and installs the same', async () => {
  expect(await helmDoes('package', chart, '--destination', folder)).toMatchObject({ code: 0 });
  const template = async (from: string): Promise<string> => {
    const args = ['template', 'postern', from, '--kube-version', '1.37.0', '--set', 'valkey.passwordSecret.name=mine'];
    const { code, stdout } = await run('POSTERN_HELM', [...args, ...valuesArguments('valkey')], '{}');
    expect(code).toBe(0);
    return stdout;
  };
  expect(await template(join(folder, 'postern-0.1.0.tgz'))).toBe(await template(chart));
});

test('the chart of Valkey passes helm lint by itself', async () => {
  expect(await helmDoes('lint', '--strict', inner)).toMatchObject({ code: 0 });
});

test('no Valkey is installed unless it is asked for', async () => {
  expect((await renderObjects('production')).filter(({ kind }) => kind === 'StatefulSet')).toEqual([]);
});

test('Postern finds Valkey under its name, with its password', async () => {
  for (const [values, service] of [
    [{}, 'postern-valkey'],
    [{ valkey: { fullnameOverride: 'sessions' } }, 'sessions'],
    [{ valkey: { passwordSecret: { name: 'mine', key: 'pass' } } }, 'postern-valkey'],
  ] as const) {
    const objects = await renderObjects('valkey', values);
    expect(only(objects, 'Service', service)['spec'].ports).toMatchObject([{ port: 6379, targetPort: 'redis' }]);
    const [, url, file] = /redis:\n {2}url: (\S+)\n {2}password: \{ file: (\S+) \}\n/.exec(configurationIn(objects))!;
    expect(url).toBe(`redis://${service}:6379/0`);
    const { volumes } = only(objects, 'Deployment')['spec'].template.spec;
    const { sources } = volumes.find(({ name }: { name: string }) => name === 'secrets').projected;
    const [server] = only(objects, 'StatefulSet')['spec'].template.spec.containers;
    const { name, key } = server.env[0].valueFrom.secretKeyRef;
    expect(sources).toContainEqual({ secret: { name, items: [{ key, path: file!.split('/').at(-1) }] } });
    const made = objects.filter(({ kind }) => kind === 'Secret').map(({ metadata }) => metadata.name);
    expect(made).toEqual(name === 'mine' ? [] : [name]);
  }
});

test('only Postern’s pods may reach it where there are policies, and it reaches nobody', async () => {
  const objects = await renderObjects('valkey');
  const { ingress, egress, policyTypes } = only(objects, 'NetworkPolicy', '-valkey')['spec'];
  expect({ policyTypes, egress }).toEqual({ policyTypes: ['Ingress', 'Egress'], egress: undefined });
  const proxy = only(objects, 'Deployment')['spec'].selector;
  expect(ingress).toEqual([{ ports: [{ protocol: 'TCP', port: 'redis' }], from: [{ podSelector: proxy }] }]);
});

test('a newer chart that changes nothing about it does not restart it', async () => {
  const newer = join(folder, 'newer');
  cpSync(chart, newer, { recursive: true });
  for (const file of ['Chart.yaml', 'charts/valkey/Chart.yaml']) {
    const text = readFileSync(join(newer, file), 'utf8');
    writeFileSync(join(newer, file), text.replaceAll('0.1.0', '0.2.0').replace("'8.1'", "'8.2'"));
  }
  const specOf = async (from: string): Promise<string> => {
    const args = ['template', 'postern', from, '--kube-version', '1.37.0', ...valuesArguments('valkey')];
    const { stdout } = await run(
      'POSTERN_HELM',
      [...args, '--show-only', 'charts/valkey/templates/statefulset.yaml'],
      '{}',
    );
    return stdout.slice(stdout.indexOf('\nspec:'));
  };
  expect(await specOf(newer)).toContain('serviceName: postern-valkey');
  expect(await specOf(newer)).toBe(await specOf(chart));
});

test('the server starts with these arguments: behind the password, never evicting, writing to the volume; and the probes tell', async () => {
  const [container] = only(await renderObjects('valkey'), 'StatefulSet')['spec'].template.spec.containers;
  expect(container.command).toEqual(['valkey-server']);
  const environment = { PATH: process.env['PATH'], REDISCLI_AUTH: 'the password' };
  const args = (container.args as string[]).map((argument) =>
    argument
      .replace(/^\$\((\w+)\)$/, (_, name: keyof typeof environment) => environment[name]!)
      .replace(/^\/data$/, folder),
  );
  const socket = join(folder, 'socket');
  const server = spawn('redis-server', [...args, '--port', '0', '--unixsocket', socket], { stdio: 'ignore' });
  const ended = once(server, 'exit');
  const ask = (env: object, ...command: string[]) =>
    spawnSync('redis-cli', ['-s', socket, ...command], { env: env as NodeJS.ProcessEnv, encoding: 'utf8' });
  try {
    const { command } = container.readinessProbe.exec;
    expect(command[0]).toBe('valkey-cli');
    await until(() => ask(environment, ...command.slice(1)).status === 0, 10_000);
    expect(ask({ PATH: process.env['PATH'] }, ...command.slice(1)).status).not.toBe(0);
    const settings = ask(environment, 'config', 'get', 'maxmemory*', 'appendonly', 'dir', 'save').stdout;
    for (const pair of [
      'maxmemory-policy\nnoeviction',
      'maxmemory\n167772160',
      'appendonly\nyes',
      `dir\n${folder}`,
      'save\n\n',
    ])
      expect(settings).toContain(pair);
  } finally {
    server.kill();
    await ended;
  }
});
