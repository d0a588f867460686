// The chart as helm sees it: rendered with values, as text and as objects.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseAllDocuments, stringify } from 'yaml';

/** The chart's folder. */
export const chart = join(import.meta.dirname, '../../helm');

/** The names of the examples of values that the chart carries. */
export const examples = readdirSync(join(chart, 'ci')).map((name) => name.replace('-values.yaml', ''));

export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels: Record<string, string>; annotations?: Record<string, string> };
  [key: string]: any;
}

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program that `npm run test:helm` has built. */
export async function run(variable: 'POSTERN_HELM' | 'POSTERN_OBJECTS', args: string[], input = ''): Promise<Ran> {
  const program = process.env[variable];
  if (program === undefined) throw new Error(`${variable} is not set: run these tests with npm run test:helm`);
  const child = spawn(program, args);
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, stdout, stderr };
}

/** Runs helm on the chart with an example, and other values over it. A helm that `go install` made knows no version of Kubernetes by itself. */
export function helm(command: 'template' | 'lint', example: string, values: object = {}): Promise<Ran> {
  const what = command === 'lint' ? ['lint', '--strict', chart] : ['template', 'postern', chart];
  return run('POSTERN_HELM', [...what, '--kube-version', '1.37.0', ...valuesArguments(example)], stringify(values));
}

/** The arguments that name an example, and standard input for other values over it. */
export function valuesArguments(example: string): string[] {
  return ['--values', join(chart, 'ci', `${example}-values.yaml`), '--values', '-'];
}

/** What helm renders. @throws Error with what helm says when it refuses */
export async function render(example: string, values: object = {}): Promise<string> {
  const { code, stdout, stderr } = await helm('template', example, values);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

/** The same as objects. */
export async function renderObjects(example: string, values: object = {}): Promise<KubernetesObject[]> {
  // Kubernetes reads YAML 1.1: 0440 is octal.
  return parseAllDocuments(await render(example, values), { version: '1.1' })
    .map((document) => document.toJS() as KubernetesObject | null)
    .filter((object) => object !== null);
}

/** The one object of a kind whose name ends so. */
export function only(objects: KubernetesObject[], kind: string, end = ''): KubernetesObject {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name.endsWith(end));
  if (found.length !== 1) throw new Error(`${found.length} objects are a ${kind} …${end}`);
  return found[0]!;
}

/** The file that Postern gets, as text. */
export function configurationIn(objects: KubernetesObject[]): string {
  const found = objects.find((object) => object.kind === 'ConfigMap' && 'postern.yaml' in (object['data'] ?? {}));
  return found!['data']['postern.yaml'] as string;
}
