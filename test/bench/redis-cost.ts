// What a stretch of load costs Redis: its own CPU time and the commands it ran, those inside scripts included (INFO cpu, INFO commandstats).
import { Redis } from 'ioredis';

export interface RedisCost {
  cpuMicros: number;
  /** How often each command ran. */
  commands: Record<string, number>;
}

export interface RedisMeter {
  read(): Promise<RedisCost>;
  close: () => Promise<void>;
}

export function createRedisMeter(url: string): RedisMeter {
  const client = new Redis(url);
  return {
    async read() {
      const info = await client.info('everything');
      const seconds = ['used_cpu_sys', 'used_cpu_user'].map((name) =>
        Number(new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]),
      );
      const calls = [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(
        ([, name, count]) => [name!, Number(count)] as const,
      );
      return {
        cpuMicros: seconds.reduce((sum, part) => sum + part, 0) * 1_000_000,
        // Reading this is no part of the load.
        commands: Object.fromEntries(calls.filter(([name]) => name !== 'info')),
      };
    },
    async close() {
      await client.quit();
    },
  };
}

/** The cost of one request between two readings. */
export function costPerRequest(before: RedisCost, after: RedisCost, requests: number): RedisCost {
  const differences = Object.entries(after.commands).map(
    ([name, count]) => [name, (count - (before.commands[name] ?? 0)) / requests] as const,
  );
  return {
    cpuMicros: (after.cpuMicros - before.cpuMicros) / requests,
    commands: Object.fromEntries(differences.filter(([, perRequest]) => perRequest > 0)),
  };
}
