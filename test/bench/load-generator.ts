// Stands in for wrk: as many requests as the connections carry, one after the other on each, for some seconds. Prints a LoadReport and ends.
import http from 'node:http';
import type { LoadReport } from './load.ts';

const { url, headers, seconds, connections } = JSON.parse(process.argv[2]!) as {
  url: string;
  headers: Record<string, string>;
  seconds: number;
  connections: number;
};
const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
const latenciesMs: number[] = [];
let refused = 0;
let failed = 0;
const startedAt = performance.now();
const endsAt = startedAt + seconds * 1000;

function ask(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const request = http.get(url, { agent, headers }, (response) => {
    response
      .resume()
      .on('end', () => resolve(response.statusCode!))
      .on('error', reject);
  });
  request.on('error', reject);
  return promise;
}

async function keepBusy(): Promise<void> {
  while (performance.now() < endsAt) {
    const sentAt = performance.now();
    try {
      if ((await ask()) >= 400) refused += 1;
      latenciesMs.push(performance.now() - sentAt);
    } catch {
      failed += 1;
    }
  }
}

await Promise.all(Array.from({ length: connections }, keepBusy));
agent.destroy();
latenciesMs.sort((a, b) => a - b);
const percentile = (share: number): number => latenciesMs[Math.floor(latenciesMs.length * share)] ?? 0;
const report: LoadReport = {
  requests: latenciesMs.length,
  seconds: (performance.now() - startedAt) / 1000,
  p50Ms: percentile(0.5),
  p99Ms: percentile(0.99),
  refused,
  failed,
};
console.log(JSON.stringify(report));
