// Whether sessions are safe where they are kept: what the servers say of themselves, what they let Postern do, and what a restart or a failover would cost.
import type { Config } from '../config/schema.ts';
import { isSupported } from '../store/redis-info.ts';
import type { ServerInfo } from '../store/redis-info.ts';
import type { MessagesAnswer, RedisExamination, ServerExamination } from '../store/redis-examination.ts';
import type { Refusal } from '../store/redis-permissions.ts';
import { observe } from './observation.ts';
import type { Observation } from './observation.ts';

const clocksDifferMs = 5_000;
const nearlyFull = 0.9;

/** `examination` is undefined where there is no `redis` section. */
export function observeStore({ redis }: Config, examination: RedisExamination | undefined): Observation[] {
  if (redis === undefined || examination === undefined) {
    return [observe('reach', 'note', 'sessions live in the process: one replica, gone at restart', 'redis')];
  }
  if (examination.kind === 'unreachable') return [observeUnreachable(examination.reason)];
  const { servers, messages } = examination;
  const about = servers.map((server) => {
    const own = observeServer(redis, server);
    return servers.length === 1 ? own : own.map((seen) => ({ ...seen, text: `${server.address}: ${seen.text}` }));
  });
  return [observe('reach', 'ok', placeOf(redis, servers)), ...about.flat(), observeMessages(messages)];
}

function observeUnreachable(reason: string): Observation {
  const failure = (text: string, key?: string): Observation =>
    observe('reach', 'failure', `cannot be reached: ${text} (${reason})`, key);
  if (/^(WRONGPASS|NOAUTH|ERR AUTH)/.test(reason)) return failure('it does not let this user in', 'redis.password');
  if (/certificate|self.signed|altname/i.test(reason))
    return failure('its certificate is not trusted', 'redis.tls.ca.file');
  if (reason.includes('cluster support disabled')) return failure('it is no Cluster', 'redis.cluster');
  // Redis 6.2 quotes it in another way than the newer ones.
  if (/['`]sentinel['`]/.test(reason)) return failure('it is no sentinel', 'redis.sentinel');
  return failure('every call that needs a session would get 503', 'redis');
}

type Redis = NonNullable<Config['redis']>;

function placeOf({ sentinel, cluster }: Redis, servers: readonly ServerExamination[]): string {
  const addresses = servers.map(({ address }) => address).join(', ');
  if (sentinel !== undefined) return `the primary of ${sentinel.name}, which the sentinels name: ${addresses}`;
  return cluster === undefined ? `one server, ${addresses}` : `a Cluster of ${servers.length} masters: ${addresses}`;
}

function observeServer(redis: Redis, server: ServerExamination): Observation[] {
  const { info, snapshots } = server;
  const said =
    info === undefined
      ? [
          observe(
            'server',
            'warning',
            'the user may not ask for INFO, so that nothing is known of the server',
            'redis.username',
          ),
        ]
      : [
          observeVersion(info),
          ...observeMode(redis, info),
          observeEviction(info),
          ...observeMemory(info),
          observePersistence(info, snapshots),
          ...observeReplicas(redis, info),
        ];
  return [...said, ...observePermissions(server.refusals), observeClock(server)];
}

function observeVersion(info: ServerInfo): Observation {
  const name = `${info.product} ${info.version ?? 'of an unknown version'}`;
  return isSupported(info)
    ? observe('version', 'ok', name)
    : observe('version', 'failure', `${name} is too old: Redis 6.2 or Valkey 7.2 is needed`);
}

function observeMode({ cluster }: Redis, { mode, isReplica }: ServerInfo): Observation[] {
  if (mode === 'sentinel')
    return [observe('mode', 'failure', 'this is a sentinel, which keeps no data', 'redis.sentinel')];
  if (mode === 'cluster' && cluster === undefined) {
    return [
      observe(
        'mode',
        'failure',
        'this server is part of a Cluster, and the file takes it for a lone one',
        'redis.cluster',
      ),
    ];
  }
  return isReplica ? [observe('mode', 'failure', 'this server is a replica, which takes no writes', 'redis.url')] : [];
}

function observeEviction({ evictionPolicy, memoryLimit }: ServerInfo): Observation {
  if (evictionPolicy === undefined) return observe('maxmemory-policy', 'note', 'the server does not say');
  if (evictionPolicy === 'noeviction') return observe('maxmemory-policy', 'ok', evictionPolicy);
  const text = `${evictionPolicy} logs people out at random when memory runs short; set noeviction on the server`;
  // Without a limit nothing is evicted yet.
  return observe('maxmemory-policy', memoryLimit > 0 ? 'failure' : 'warning', text);
}

function observeMemory({ usedMemory, memoryLimit }: ServerInfo): Observation[] {
  if (memoryLimit === 0 || usedMemory < nearlyFull * memoryLimit) return [];
  const percent = Math.round((usedMemory / memoryLimit) * 100);
  return [observe('memory', 'warning', `${percent} % of maxmemory is used; logins get 503 when it is full`)];
}

function observePersistence({ appendOnly }: ServerInfo, snapshots: boolean | undefined): Observation {
  const about = 'persistence';
  if (appendOnly) return observe(about, 'ok', 'appendonly yes');
  const loss = 'a restart of the server logs people out';
  if (snapshots === undefined) {
    return observe(
      about,
      'note',
      `appendonly is no, and this user may not see whether there are snapshots; without them ${loss}`,
    );
  }
  return snapshots
    ? observe(about, 'note', `snapshots only: ${loss} who came after the last one; appendonly yes keeps them`)
    : observe(about, 'warning', `none: ${loss}, all of them; set appendonly yes on the server`);
}

function observeReplicas({ url }: Redis, { replicas, asksForReplicas }: ServerInfo): Observation[] {
  const about = 'min-replicas-to-write';
  if (asksForReplicas) return [observe(about, 'ok', 'set: a primary without replicas takes no writes')];
  if (url !== undefined && replicas === 0) return [];
  return [
    observe(
      about,
      'note',
      `not set: a failover may undo the last second. ${replicas} replica${replicas === 1 ? '' : 's'} now`,
    ),
  ];
}

// Of a script's command Redis 7.2 and newer says it as Valkey does, older ones in sentences of their own.
const isForbidden = (error: string): boolean =>
  /^NOPERM|ACL failure|can't (run this command|access at least)/.test(error);

function observePermissions(refusals: readonly Refusal[]): Observation[] {
  const names = (list: readonly Refusal[]): string => list.map(({ command }) => command.toLowerCase()).join(', ');
  // INFO alone is not needed to keep sessions, and has been told of.
  const forbidden = refusals.filter(({ command, error }) => isForbidden(error) && command !== 'INFO');
  const failed = refusals.filter(({ error }) => !isForbidden(error));
  if (forbidden.length === 0 && failed.length === 0) {
    return [observe('permissions', 'ok', 'every command that is needed is allowed, and scripts run')];
  }
  return [
    ...(forbidden.length === 0
      ? []
      : [
          observe(
            'permissions',
            'failure',
            `the user may not use ${names(forbidden)} on postern:*; docs/redis.md has the whole ACL rule`,
            'redis.username',
          ),
        ]),
    ...(failed.length === 0
      ? []
      : [observe('commands', 'failure', `${names(failed)} failed: ${failed[0]?.error ?? ''}`)]),
  ];
}

function observeClock({ clockOffsetMs: offset }: ServerExamination): Observation {
  if (offset === undefined) return observe('store clock', 'note', 'the server does not say');
  if (Math.abs(offset) <= clocksDifferMs) return observe('store clock', 'ok', 'agrees with this machine’s within 5 s');
  const seconds = Math.round(Math.abs(offset) / 1000);
  const text = `${seconds} s ${offset > 0 ? 'ahead of' : 'behind'} this machine’s: tokens are reckoned by the store’s, so no harm is done; set both by NTP`;
  return observe('store clock', 'warning', text);
}

function observeMessages(messages: MessagesAnswer): Observation {
  const about = 'messages';
  const cost = 'a logout on another replica would be seen only when the store is asked, at every call';
  switch (messages.kind) {
    case 'heard':
      return observe(about, 'ok', 'what is published at every server arrives');
    case 'refused':
      return observe(
        about,
        'failure',
        `the user may not publish or hear; the ACL needs &postern:* (${messages.reason}). Until then ${cost}`,
        'redis.username',
      );
    case 'silent':
      return observe(about, 'failure', `what is published does not arrive: ${cost}`);
  }
}
