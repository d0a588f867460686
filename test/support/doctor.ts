// `postern doctor` and `postern check --online` in this process, on a configuration that a test states in a few words.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as allOf } from 'node:stream/consumers';
import { check } from '../../src/cli/check.ts';
import type { Terminal } from '../../src/cli/configuration.ts';
import { doctor } from '../../src/cli/doctor.ts';
import type { Report } from '../../src/doctor/report.ts';
import { sessionKey } from './config-text.ts';
import type { Registration } from './postern.ts';

/** The file's name, as the commands name it. */
export const file = '/etc/postern/postern.yaml';

/** A configuration on loopback, in JSON, which is YAML too. */
export function configText(registration: Registration, overrides: Record<string, unknown> = {}): string {
  const { issuer, clientId, clientSecret } = registration;
  return JSON.stringify({
    publicUrl: 'http://localhost:8080',
    provider: { issuer, clientId, clientSecret, scopes: ['openid', 'profile'] },
    session: { keys: [sessionKey] },
    routes: [{ path: '/api', upstream: 'http://orders:8080' }],
    ...overrides,
  });
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Prints the report for people. */
export async function runDoctor(text: string): Promise<Ran> {
  return running(text, (terminal) => doctor({ config: file, json: false }, terminal));
}

/** The report of `--json`, and the exit code beside it. */
export async function examined(text: string): Promise<{ code: number; report: Report; text: string }> {
  const { code, stdout } = await running(text, (terminal) => doctor({ config: file, json: true }, terminal));
  return { code, report: JSON.parse(stdout) as Report, text: stdout };
}

export async function runCheckOnline(text: string): Promise<Ran> {
  return running(text, (terminal) => check({ config: file, online: true }, terminal));
}

/** `postern doctor` as a process of its own, on postern.yaml; resolves once it has ended by itself. */
export async function doctorProcess(text: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-doctor-'));
  await writeFile(join(directory, 'postern.yaml'), text);
  const main = join(import.meta.dirname, '../../src/main.ts');
  const child = spawn(process.execPath, [main, 'doctor'], { cwd: directory, env: {} });
  const [stdout, stderr] = await Promise.all([allOf(child.stdout), allOf(child.stderr), once(child, 'close')]);
  await rm(directory, { recursive: true });
  return { code: child.exitCode, stdout, stderr };
}

/** What a part of the report says, as `level about`. */
export function summaryOf(observations: Report['store']['observations']): string[] {
  return observations.map(({ level, about }) => `${level} ${about}`);
}

/** What would not work, and why. */
export function failuresIn({ provider, store }: Report): { about: string; text: string; key?: string }[] {
  return [...provider.observations, ...store.observations]
    .filter(({ level }) => level === 'failure')
    .map(({ about, text, key }) => ({ about, text, ...(key !== undefined && { key }) }));
}

async function running(text: string, command: (terminal: Terminal) => Promise<number>): Promise<Ran> {
  const printed: string[] = [];
  const reported: string[] = [];
  const code = await command({
    print: (part) => void printed.push(part),
    report: (line) => void reported.push(`${line}\n`),
    readFile: (path) => (path === file ? text : readFileSync(path, 'utf8')),
    env: {},
    now: Date.now,
  });
  return { code, stdout: printed.join(''), stderr: reported.join('') };
}
