// CPU time that the kernel has charged to a process, its threads and its children (proc_pid_stat(5)).
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

const microsPerTick = 1_000_000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

interface Stat {
  parent: number;
  ticks: number;
}

/** User and system time of a process tree so far, in µs, in steps of one tick (usually 10 ms). */
export function cpuMicrosOf(pid: number): number {
  const stats = new Map<number, Stat>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? readStat(name) : undefined;
    if (stat !== undefined) stats.set(Number(name), stat);
  }
  const ticksOf = (root: number): number => {
    let ticks = stats.get(root)?.ticks ?? 0;
    for (const [child, { parent }] of stats) if (parent === root) ticks += ticksOf(child);
    return ticks;
  };
  return ticksOf(pid) * microsPerTick;
}

function readStat(pid: string): Stat | undefined {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // It has ended meanwhile.
  }
  // The name, in parentheses, may hold spaces: fields are counted from behind it, the first is field 3.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15).map(Number);
  return { parent: Number(fields[1]), ticks: user! + system! + childrenUser! + childrenSystem! };
}
