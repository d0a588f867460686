// What the store asks of its connections, whatever stands behind them, and the driver's limits that hold for each of them.
// The link to one server, or to the primary that Sentinel names.
import type { Writable } from 'node:stream';
import { Redis, type Cluster, type RedisOptions } from 'ioredis';
import type { RedisPasswords, RedisSettings } from './redis-settings.ts';

/** A command whose answer takes longer has failed. */
export const commandTimeoutMs = 500;
const connectTimeoutMs = 2_000;
/** For a connection that asks one question and ends: longer than it may take to connect, so that no TLS handshake is cut short. */
export const introductionMs = connectTimeoutMs + commandTimeoutMs;

/** Connections to all that takes writes, which are made again for ever. */
export interface RedisLink {
  /** Sends each command to the server that has its key. */
  commands: Redis | Cluster;
  /** The connection to each server that takes writes, by address; undefined while there is none. */
  primaries(): ReadonlyMap<string, Redis | undefined>;
  /** Has the commands that are asked for in this turn of the event loop share one write to each of them. */
  gather(): void;
  /** One round trip to each of them. */
  ping(): Promise<void>;
  /** A connection for messages, made again for ever. */
  openMessages(): Redis;
  /** Makes every connection from now on with these; those that stand stay. */
  connectWith(passwords: RedisPasswords): void;
  /** Breaks all connections for commands, to make them anew. */
  restart(): void;
  /** Ends all but the message connections; resolves when their sockets are gone. */
  close(): Promise<void>;
}

export interface LinkOptions {
  settings: RedisSettings;
  /** How long to wait before the next attempt, in ms; `times` counts the attempts that failed. */
  retryStrategy: (times: number) => number;
  /** All that takes writes can be reached; called at each change. */
  onStanding: () => void;
  /** Some of it cannot, or never could. */
  onBroken: () => void;
  /** Why, as the driver says it. */
  onError: (error: Error) => void;
}

const limits = {
  // RESP3 gives nothing here, and in RESP2 a subscribed connection can be told from a normal one.
  protocol: 2,
  // A socket that owes an answer for so long is dead, though nobody closed it: a new one is tried.
  socketTimeout: 2 * commandTimeoutMs,
  connectTimeout: connectTimeoutMs,
  // What is given up is given up: a socket that lingers could still fail, with nobody listening.
  disconnectTimeout: 0,
  // The message connection asks nothing: only TCP itself can find that it is dead.
  keepAlive: 5_000,
  maxLoadingRetryTime: 250,
  // A command whose connection broke has failed, and its caller knows. Sent again by the driver it would come when
  // nobody waits for it any more, and might begin a refresh that nobody makes.
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  // The primary became a replica: the name, or Sentinel, leads to the new one.
  reconnectOnError: (error: Error) => error.message.includes('READONLY'),
} satisfies RedisOptions;

/** What every connection to a server is given. */
export function driverOptions({ username, password, database, tls }: RedisSettings) {
  return {
    ...limits,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { db: database }),
    ...(tls !== undefined && { tls }),
  };
}

/** Begins to connect at once. */
export function createServerLink({ settings, retryStrategy, onStanding, onBroken, onError }: LinkOptions): RedisLink {
  const opened: Redis[] = [];
  const open = (connectionName: string): Redis => {
    const place = sentinelOptions(settings, retryStrategy);
    const named = { ...driverOptions(settings), ...place, retryStrategy, connectionName };
    const redis = settings.url === undefined ? new Redis(named) : new Redis(settings.url, named);
    opened.push(redis);
    return redis;
  };
  const commands = open('postern');
  const primary = new Map([['primary', commands]]);
  commands.on('error', (error: Error) => {
    onError(error);
    // While no sentinel answers there is no connection that could close.
    if (commands.status === 'connecting') onBroken();
  });
  commands.on('ready', onStanding);
  commands.on('close', onBroken);

  return {
    commands,
    primaries: () => primary,
    gather: createGatherer(() => primary.values()),
    async ping() {
      await commands.ping();
    },
    openMessages: () => open('postern-messages'),
    // The driver reads them whenever it connects.
    connectWith: (passwords) => opened.forEach(({ options }) => Object.assign(options, passwords)),
    restart: () => commands.disconnect(true),
    close: () => end(commands),
  };
}

function sentinelOptions({ sentinel, tls }: RedisSettings, retryStrategy: (times: number) => number) {
  if (sentinel === undefined) return {};
  const { name, nodes, username, password } = sentinel;
  return {
    name,
    sentinels: nodes,
    sentinelRetryStrategy: retryStrategy,
    sentinelCommandTimeout: introductionMs,
    ...(username !== undefined && { sentinelUsername: username }),
    ...(password !== undefined && { sentinelPassword: password }),
    // Without the switch the driver would connect to the primary in clear, whatever `tls` says.
    ...(tls !== undefined && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
  };
}

/**
 * A write to a socket is the dearest part of asking, and at 30 calls at once there are 30 questions in a turn. Nothing waits for another's answer,
 * as it would in the driver's own pipelines, and each command keeps its own time limit.
 */
export function createGatherer(servers: () => Iterable<Redis | undefined>): () => void {
  let held: Writable[] = [];
  const release = (): void => {
    for (const socket of held) socket.uncork();
    held = [];
  };
  return () => {
    if (held.length > 0) return;
    for (const server of servers()) {
      const socket = server === undefined ? undefined : socketOf(server);
      if (socket === undefined) continue;
      socket.cork();
      held.push(socket);
    }
    // After all that has arrived in this turn was heard, and before anything is waited for.
    if (held.length > 0) setImmediate(release);
  };
}

/** Ends a connection for good; resolves when its socket is gone. */
export async function end(redis: Redis): Promise<void> {
  // QUIT comes back after the answers that are still under way; where nothing comes back the socket is dropped.
  if (redis.status === 'ready') await redis.quit().catch(() => undefined);
  if (redis.status === 'end') return;
  const ended = new Promise<void>((resolve) => redis.once('end', resolve));
  const hasSocket = redis.status !== 'reconnecting';
  survive(redis);
  redis.disconnect();
  if (hasSocket) await ended;
}

/** A TLS handshake that is cut short can fail twice, and the driver listens for the first error only: the second would end the process. */
export function survive(redis: Redis): void {
  socketOf(redis)?.on('error', () => undefined);
}

function socketOf(redis: Redis): Writable | undefined {
  return (redis as { stream?: Writable }).stream;
}
