// What goes wrong: each fault begins, lasts, and is mended. `mayEndSessions` marks those in which the provider may have rotated a token that nobody can ever learn of.
import type { House } from './house.ts';
import { lasting } from './house.ts';

export interface Fault {
  name: string;
  mayEndSessions?: true;
  run(house: House): Promise<void>;
}

const lastsMs = 4_000;

function onEveryLink(name: string, begin: (link: House['replicas'][number]['link']) => void): Fault {
  return {
    name,
    async run({ replicas }) {
      for (const { link } of replicas) begin(link);
      await lasting(lastsMs);
      for (const { link } of replicas) link.heal();
    },
  };
}

export const faults: readonly Fault[] = [
  onEveryLink('Redis connections cut', (link) => link.cut()),
  onEveryLink('Redis silent, connections open', (link) => link.silence()),
  onEveryLink('Redis 100 ms slower', (link) => link.delay(100)),
  onEveryLink('messages lost without a trace', (link) => link.silenceSubscribers()),
  {
    name: 'one replica cut off from Redis',
    async run({ replicas }) {
      replicas[0]!.link.cut();
      await lasting(lastsMs);
      replicas[0]!.link.heal();
    },
  },
  {
    name: 'Redis restarted',
    async run({ redis }) {
      await redis.stop();
      await lasting(lastsMs);
      await redis.start();
    },
  },
  {
    name: 'Redis stopped by SIGSTOP',
    async run({ redis }) {
      redis.freeze();
      await lasting(lastsMs);
      redis.thaw();
    },
  },
  {
    name: 'Redis full (OOM)',
    async run({ redis }) {
      await redis.command('CONFIG', 'SET', 'maxmemory', '1mb');
      await lasting(lastsMs);
      await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    },
  },
  {
    name: 'Redis a read-only replica',
    async run({ redis }) {
      await redis.command('REPLICAOF', '127.0.0.1', '1');
      await lasting(lastsMs);
      await redis.command('REPLICAOF', 'NO', 'ONE');
    },
  },
  {
    name: 'provider answers 503',
    async run({ provider }) {
      provider.endpoints.behaviours.token.fail('unavailable');
      await lasting(lastsMs);
      provider.endpoints.behaviours.token.recover();
    },
  },
  {
    name: 'provider down',
    async run({ provider }) {
      await provider.goAway();
      await lasting(lastsMs);
      await provider.comeBack();
    },
  },
  {
    name: 'token endpoint takes 3 s',
    async run({ provider }) {
      provider.endpoints.behaviours.token.delayMs = 3_000;
      await lasting(lastsMs);
      provider.endpoints.behaviours.token.delayMs = 0;
    },
  },
  {
    name: 'a replica killed (kill -9) and replaced',
    mayEndSessions: true,
    async run(house) {
      house.replicas[1]!.process.signal('SIGKILL');
      await lasting(lastsMs);
      await house.replace(1);
    },
  },
  {
    name: 'a replica stopped by SIGSTOP',
    async run({ replicas }) {
      replicas[2]!.process.signal('SIGSTOP');
      await lasting(lastsMs);
      replicas[2]!.process.signal('SIGCONT');
    },
  },
];
