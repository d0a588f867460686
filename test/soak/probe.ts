// Loaded into a Postern before its own code (`node --import`): at a signal it collects garbage and prints what the process holds, as one line.
import { readdirSync, readlinkSync, writeSync } from 'node:fs';
import { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { queryObjects, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What a process holds, after garbage collection. */
export interface Reading {
  /** In MB of 1,000,000 bytes, as all sizes here. */
  rssMb: number;
  /** Heap in use, and the buffers outside it. */
  heapMb: number;
  /** How many there are of each kind: what keeps the event loop awake, open files; at SIGWINCH also objects that are alive. */
  held: Record<string, number>;
  /** How long the process stood still for it. */
  tookMs: number;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as NodeJS.GCFunction;
const timer = setTimeout(() => undefined, 0);
clearTimeout(timer);
// Also those that do not keep the event loop awake.
const kinds: Record<string, new (...args: never[]) => unknown> = {
  'live timers': timer.constructor as new () => unknown,
  'live sockets': Socket,
  'live requests to upstreams': ClientRequest,
  'live messages': IncomingMessage,
  'live answers': ServerResponse,
};

// Finding objects stands still for long: only when nobody waits.
process.on('SIGUSR2', () => print(() => ({})));
process.on('SIGWINCH', () => print(objects));

function print(more: () => Record<string, number>): void {
  const startedAt = performance.now();
  // last-resort: pages that hold nothing go back to the system, or RSS would tell of the last burst and not of what is held.
  collectGarbage({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  const { rss, heapUsed, external } = process.memoryUsage();
  const held = { ...resources(), ...files(), ...more() };
  const tookMs = performance.now() - startedAt;
  const reading: Reading = { rssMb: rss / 1e6, heapMb: (heapUsed + external) / 1e6, held, tookMs };
  writeSync(1, `reading ${JSON.stringify(reading)}\n`);
}

function resources(): Record<string, number> {
  return countsOf(process.getActiveResourcesInfo());
}

function objects(): Record<string, number> {
  return Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [name, queryObjects(kind, { format: 'count' })]),
  );
}

function files(): Record<string, number> {
  if (process.platform !== 'linux') return {};
  return countsOf(
    readdirSync('/proc/self/fd').flatMap((descriptor) => {
      try {
        return [
          readlinkSync(`/proc/self/fd/${descriptor}`).startsWith('socket:') ? 'open sockets' : 'other open files',
        ];
      } catch {
        return []; // The one by which the directory was read.
      }
    }),
  );
}

function countsOf(names: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
