// Two connections to one Redis, one for scripts and one for messages, that are never waited for longer than a request can wait.
// An outage is told from a missing record here: whatever is not Redis's own answer to this very question is StoreUnavailable.
import { setTimeout as delay } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import type { Reply } from './redis-replies.ts';
import type { Script } from './redis-scripts.ts';
import { StoreUnavailable } from './store.ts';

const commandTimeoutMs = 500;
const settlingMs = 2_000;
const longestRetryMs = 1_000;

const driverOptions = {
  // RESP3 gives nothing here, and in RESP2 a subscribed connection can be told from a normal one.
  protocol: 2,
  commandTimeout: commandTimeoutMs,
  // A socket that owes an answer for so long is dead, though nobody closed it: a new one is tried.
  socketTimeout: 2 * commandTimeoutMs,
  connectTimeout: 2_000,
  disconnectTimeout: 200,
  // The message connection asks nothing: only TCP itself can find that it is dead.
  keepAlive: 5_000,
  maxLoadingRetryTime: 250,
  // A command whose connection broke has failed, and its caller knows. Sent again by the driver it would come when
  // nobody waits for it any more, and might begin a refresh that nobody makes.
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  // The primary became a replica: the name leads to the new one.
  reconnectOnError: (error: Error) => error.message.includes('READONLY'),
} satisfies RedisOptions;

export interface RedisConnectionOptions {
  url: string;
  /** Epoch or monotonic ms; only differences are used. */
  now: () => number;
  /** In [0, 1): spreads the reconnects of many processes. */
  random: () => number;
  channel: string;
  onMessage: (text: string) => void;
  /** Called at each change, not at each failure; the first connect is one. */
  onStateChange?: (state: 'up' | 'down', cause?: unknown) => void;
}

export type RedisConnection = ReturnType<typeof createRedisConnection>;

/** Begins to connect and goes on trying for ever; returns at once, whether Redis is there or not. */
export function createRedisConnection(options: RedisConnectionOptions) {
  const { url, now, random, channel } = options;
  const retryStrategy = (times: number) =>
    Math.min(longestRetryMs, 25 * 2 ** Math.min(times, 10)) * (0.5 + random() / 2);
  const commands = new Redis(url, { ...driverOptions, retryStrategy, connectionName: 'postern' });
  const messages = new Redis(url, { ...driverOptions, retryStrategy, connectionName: 'postern-messages' });

  let state: 'starting' | 'up' | 'down' = 'starting';
  let settledFrom = Infinity;
  let lastError: Error | undefined;
  let subscriptionError: unknown;
  let closing = false;

  commands.on('error', (error: Error) => (lastError = withoutArguments(error)));
  commands.on('ready', () => {
    settledFrom = state === 'starting' ? now() : now() + settlingMs;
    state = 'up';
    lastError = undefined;
    options.onStateChange?.('up');
  });
  commands.on('close', () => {
    settledFrom = Infinity;
    // What cut the one has most likely cut the other, which would not notice for a while.
    if (state === 'up' && messages.status === 'ready') messages.disconnect(true);
    if (state === 'down' || closing) return;
    state = 'down';
    options.onStateChange?.('down', lastError);
  });
  const firstAttempt = new Promise<void>((resolve) => {
    commands.once('ready', resolve);
    commands.once('close', resolve);
  });

  // Without a listener the driver prints; the other connection tells of the outage.
  messages.on('error', () => undefined);
  messages.on('ready', () => {
    messages.subscribe(channel).then(
      () => (subscriptionError = undefined),
      (error: unknown) => (subscriptionError = error),
    );
  });
  messages.on('message', (_channel: string, text: string) => options.onMessage(text));

  async function evaluate(script: Script, keys: string[], args: (string | number)[]): Promise<unknown> {
    try {
      return await commands.evalsha(script.sha1, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return commands.eval(script.lua, keys.length, ...keys, ...args);
    }
  }

  /** Runs `ask` within its deadline; every failure of it is StoreUnavailable. */
  async function asking<T>(ask: () => Promise<T>): Promise<T> {
    if (state === 'starting') await Promise.race([firstAttempt, delay(commandTimeoutMs, undefined, { ref: false })]);
    try {
      return await ask();
    } catch (error) {
      throw new StoreUnavailable(withoutArguments(error));
    }
  }

  return {
    /** Runs a script, which answers an array that begins with its first key; gives the rest of it. */
    async run(script: Script, keys: [string, ...string[]], args: (string | number)[] = []): Promise<Reply> {
      const reply = await asking(() => evaluate(script, keys, args));
      if (Array.isArray(reply) && reply[0] === keys[0]) return reply.slice(1) as Reply;
      // Answers have shifted: with this connection every user would get somebody else's session.
      commands.disconnect(true);
      throw new StoreUnavailable(new Error('the answer belongs to another question'));
    },

    /** One round trip; fails as well when the server refuses the message channel. */
    async ping(): Promise<void> {
      await asking(() => commands.ping());
      if (subscriptionError !== undefined) throw new StoreUnavailable(withoutArguments(subscriptionError));
    },

    /** Whether the connection stands, and has stood for 2 s if it had to be made more than once. */
    settled: (): boolean => state === 'up' && now() >= settledFrom,

    /** Ends both connections for good; resolves when their sockets are gone. */
    async close(): Promise<void> {
      closing = true;
      await Promise.all([end(commands), end(messages)]);
    },
  };
}

async function end(redis: Redis): Promise<void> {
  // QUIT comes back after the answers that are still under way; where nothing comes back the socket is dropped.
  await redis.quit().catch(() => undefined);
  if (redis.status === 'end') return;
  const ended = new Promise<void>((resolve) => redis.once('end', resolve));
  const hasSocket = redis.status !== 'reconnecting';
  redis.disconnect();
  if (hasSocket) await ended;
}

// The driver's errors carry the command they belong to, and AUTH's arguments are the password.
function withoutArguments(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if ('command' in error) delete error.command;
  return error;
}
