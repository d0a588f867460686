// Requests for the app's files as browsers make them, byte for byte, through the gate; and an app to serve.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Gate } from './gate.ts';
import { exchange } from './raw-client.ts';
import type { RawAnswer } from './raw-client.ts';

/** Header lines of a person on the way to a page. */
export const navigation = [
  'Sec-Fetch-Mode: navigate',
  'Sec-Fetch-Dest: document',
  'Sec-Fetch-Site: none',
  'Accept: text/html',
];
/** Header lines of a script that a page loads. */
export const script = ['Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: script', 'Sec-Fetch-Site: same-origin'];

export async function get(
  gate: Gate,
  path: string,
  lines: readonly string[] = navigation,
  method = 'GET',
): Promise<RawAnswer> {
  const head = [`${method} ${path} HTTP/1.1`, `Host: ${gate.host}`, 'Connection: close', ...lines];
  const { answers } = await exchange(gate.address, `${head.join('\r\n')}\r\n\r\n`);
  return answers[0]!;
}

export interface AppOnDisk {
  directory: string;
  write(files: Record<string, string | Buffer>): Promise<void>;
  remove(): Promise<void>;
}

/** A directory with an app in it. */
export async function appOnDisk(files: Record<string, string | Buffer>): Promise<AppOnDisk> {
  const root = await mkdtemp(join(tmpdir(), 'postern-app-'));
  const directory = join(root, 'app');
  async function write(more: Record<string, string | Buffer>): Promise<void> {
    for (const [name, content] of Object.entries(more)) {
      await mkdir(dirname(join(directory, name)), { recursive: true });
      await writeFile(join(directory, name), content);
    }
  }
  await write({ 'index.html': '<!doctype html><title>App</title>', ...files });
  return { directory, write, remove: () => rm(root, { recursive: true }) };
}
