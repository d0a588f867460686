// One stretch of load on one address: wrk where it is installed, else a small generator of our own, always in a process of its own.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onPath } from './processes.ts';

const execute = promisify(execFile);

export const connections = 32;

export interface Load {
  url: string;
  headers: Readonly<Record<string, string>>;
  /** What every answer must have. */
  status: number;
  /** How many are kept busy, if not as many as for everybody. */
  connections?: number;
}

/** What wrk-report.lua and load-generator.ts print. */
export interface LoadReport {
  requests: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  /** Answers of status 400 and above. */
  refused: number;
  /** Requests without an answer. */
  failed: number;
}

export const loadGenerator = onPath('wrk') === undefined ? 'node:http' : 'wrk';

/** Keeps all connections busy for whole seconds. Throws when a single answer was not as expected: a figure for failing requests means nothing. */
export async function applyLoad(load: Load, seconds: number): Promise<LoadReport> {
  const { stdout } = await execute(...commandFor(load, seconds));
  const report = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as LoadReport;
  const unexpected = load.status < 400 ? report.refused : report.requests - report.refused;
  if (report.failed > 0 || unexpected > 0) {
    throw new Error(`${load.url}: ${report.failed} requests failed, ${unexpected} had not status ${load.status}`);
  }
  return report;
}

function commandFor({ url, headers, connections: busy = connections }: Load, seconds: number): [string, string[]] {
  if (loadGenerator === 'wrk') {
    const script = join(import.meta.dirname, 'wrk-report.lua');
    const size = ['-t', '1', '-c', String(busy), '-d', `${seconds}s`];
    return [
      'wrk',
      [...size, '-s', script, ...Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]), url],
    ];
  }
  const script = join(import.meta.dirname, 'load-generator.ts');
  return [process.execPath, [script, JSON.stringify({ url, headers, seconds, connections: busy })]];
}
