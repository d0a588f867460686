// What goes wrong, and how it is mended. The campaign goes through the list one by one; the commands begin and mend them at any moment.
import type { House, Replica } from './house.ts';

/** Where it goes wrong: at most one fault at a time in each place. */
export type Place = 'way to Redis' | 'Redis' | 'provider' | 'replica';

export interface Fault {
  name: string;
  place: Place;
  /** The replica that does not answer meanwhile. */
  stops?: number;
  /** The provider may have rotated a token that nobody can ever learn of. */
  mayEndSessions?: true;
  /** May be a promise. */
  begin(house: House): unknown;
  mend(house: House): unknown;
}

function onEveryWay(name: string, begin: (link: Replica['link']) => void): Fault {
  return {
    name,
    place: 'way to Redis',
    begin: ({ replicas }) => replicas.forEach(({ link }) => begin(link)),
    mend: ({ replicas }) => replicas.forEach(({ link }) => link.heal()),
  };
}

export const faults: readonly Fault[] = [
  onEveryWay('Redis connections cut', (link) => link.cut()),
  onEveryWay('Redis connections reset, once', (link) => link.reset()),
  onEveryWay('Redis silent, connections open', (link) => link.silence()),
  onEveryWay('Redis 100 ms slower', (link) => link.delay(100)),
  onEveryWay('messages lost without a trace', (link) => link.silenceSubscribers()),
  {
    name: 'one replica cut off from Redis',
    place: 'way to Redis',
    begin: ({ replicas }) => replicas[0]!.link.cut(),
    mend: ({ replicas }) => replicas[0]!.link.heal(),
  },
  {
    name: 'Redis restarted',
    place: 'Redis',
    begin: ({ redis }) => redis.stop(),
    mend: ({ redis }) => redis.start(),
  },
  {
    name: 'Redis stopped by SIGSTOP',
    place: 'Redis',
    begin: ({ redis }) => redis.freeze(),
    mend: ({ redis }) => redis.thaw(),
  },
  {
    name: 'Redis full (OOM)',
    place: 'Redis',
    begin: ({ redis }) => redis.command('CONFIG', 'SET', 'maxmemory', '1mb'),
    mend: ({ redis }) => redis.command('CONFIG', 'SET', 'maxmemory', '0'),
  },
  {
    name: 'Redis a read-only replica',
    place: 'Redis',
    begin: ({ redis }) => redis.command('REPLICAOF', '127.0.0.1', '1'),
    mend: ({ redis }) => redis.command('REPLICAOF', 'NO', 'ONE'),
  },
  {
    name: 'provider answers 503',
    place: 'provider',
    begin: ({ provider }) => provider.endpoints.behaviours.token.fail('unavailable'),
    mend: ({ provider }) => provider.endpoints.behaviours.token.recover(),
  },
  {
    name: 'provider down',
    place: 'provider',
    begin: ({ provider }) => provider.goAway(),
    mend: ({ provider }) => provider.comeBack(),
  },
  {
    name: 'token endpoint takes 3 s',
    place: 'provider',
    begin: ({ provider }) => (provider.endpoints.behaviours.token.delayMs = 3_000),
    mend: ({ provider }) => provider.endpoints.behaviours.token.recover(),
  },
  {
    name: 'a replica killed (kill -9) and replaced',
    place: 'replica',
    stops: 1,
    mayEndSessions: true,
    begin: ({ replicas }) => replicas[1]!.process.signal('SIGKILL'),
    mend: (house) => house.replace(1),
  },
  {
    name: 'a replica stopped by SIGSTOP',
    place: 'replica',
    stops: 2,
    begin: ({ replicas }) => replicas[2]!.process.signal('SIGSTOP'),
    mend: ({ replicas }) => replicas[2]!.process.signal('SIGCONT'),
  },
];
