// The demo as a newcomer starts it: `node scripts/run.js demo`, as a process of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface Demo {
  /** What it tells people to open. */
  url: string;
  providerUrl: string;
  apiUrl: string;
  /** Where its copy of config/demo.yaml is. */
  configPath: string;
  /** As Ctrl-C does; gives the exit code and all that it has printed. */
  interrupt(): Promise<{ exitCode: number | null; output: string }>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts it and waits until it says that it runs. Throws with its output when it ends before. */
export async function startDemo(...options: string[]): Promise<Demo> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../scripts/run.js'), 'demo', ...options]);
  // All that it has printed is there by then.
  const exit = once(child, 'close');
  let output = '';
  const keep = (chunk: Buffer): void => void (output += chunk.toString());
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  // Its last line.
  while (!output.includes('Ctrl-C ends all of it.')) {
    await Promise.race([once(child.stdout, 'data'), exit]);
    if (child.exitCode !== null) throw new Error(`exit code ${child.exitCode}\n${output}`);
  }
  async function interrupt() {
    child.kill('SIGINT');
    const [exitCode] = (await exit) as [number | null];
    return { exitCode, output };
  }
  const urlAfter = (word: string): string => new RegExp(`^ *${word} +(\\S+)`, 'm').exec(output)![1]!;
  return {
    url: urlAfter('Postern'),
    providerUrl: urlAfter('provider'),
    apiUrl: urlAfter('API'),
    configPath: /\S+postern\.yaml/.exec(output)![0],
    interrupt,
    async [Symbol.asyncDispose]() {
      await interrupt();
    },
  };
}
