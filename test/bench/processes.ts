// The processes of a measurement and the CPUs they run on: the measured proxy has one for itself, everything else shares the others.
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';

/** A CPU list as taskset takes it; undefined: wherever the kernel likes. */
export type Cpus = string | undefined;

export interface Placement {
  /** For the one proxy that is under load. */
  proxy: Cpus;
  /** For the load generator, the upstream, Redis and this process. */
  others: Cpus;
  all: Cpus;
}

export interface Child {
  pid: number;
  /** The first line it prints; rejects when it ends without one. */
  firstLine: Promise<string>;
  ended: Promise<unknown>;
  stop: () => Promise<void>;
}

/** The path of a program, or undefined when it is not on the PATH. */
export function onPath(program: string): string | undefined {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Divides the CPUs, and moves this process away from the proxy's; what it starts from now on stays with it. Nothing is pinned on a single CPU or without taskset. */
export function divideCpus(): Placement {
  const cpus = allowedCpus();
  if (cpus.length < 2 || onPath('taskset') === undefined)
    return { proxy: undefined, others: undefined, all: undefined };
  const [proxy, ...others] = cpus;
  const placement = { proxy: String(proxy), others: others.join(','), all: cpus.join(',') };
  execFileSync('taskset', ['-acp', placement.others, String(process.pid)], { stdio: 'ignore' });
  return placement;
}

// Whatever goes wrong here, nothing of ours goes on running.
const running = new Set<ChildProcess>();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

export function startProcess(cpus: Cpus, program: string, args: readonly string[]): Child {
  // taskset becomes the program: the pid is the program's own.
  const command = cpus === undefined ? [program, ...args] : ['taskset', '-c', cpus, program, ...args];
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.pid === undefined) throw new Error(`cannot start ${program}`);
  running.add(child);
  const ended = once(child, 'exit').finally(() => running.delete(child));
  const { promise: firstLine, resolve, reject } = Promise.withResolvers<string>();
  createInterface({ input: child.stdout }).on('line', resolve);
  ended.then(() => reject(new Error(`${program} ${args.join(' ')} ended before it was ready`)), reject);
  firstLine.catch(() => undefined);
  return {
    pid: child.pid,
    firstLine,
    ended,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Starts one of this folder's servers, which print the port they listen on. */
export async function startScript(
  cpus: Cpus,
  script: string,
  args: readonly string[] = [],
): Promise<Child & { port: number }> {
  const child = startProcess(cpus, process.execPath, [join(import.meta.dirname, script), ...args]);
  return { ...child, port: Number(await child.firstLine) };
}

// `Cpus_allowed_list: 0-3,8`: in a container not always the first ones.
function allowedCpus(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
