// What the store says to Redis and hears from it: scripts and messages, neither ever waited for longer than a request can wait.
// An outage is told from a missing record here: whatever is not Redis's own answer to this very question is StoreUnavailable.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { withinLimit } from '../fair-limits.ts';
import { createPulse } from './pulse.ts';
import { createClusterLink } from './redis-cluster.ts';
import { commandTimeoutMs, createServerLink, end, type LinkOptions, type RedisLink } from './redis-link.ts';
import type { Reply } from './redis-replies.ts';
import type { Script } from './redis-scripts.ts';
import type { RedisPasswords, RedisSettings } from './redis-settings.ts';
import { StoreUnavailable } from './store.ts';

/** How long the first callers wait for the first connection. */
const firstAttemptMs = 500;
const settlingMs = 2_000;
const longestRetryMs = 1_000;
const askAgainMs = 1_000;

export interface RedisConnectionOptions extends RedisSettings {
  /** Epoch or monotonic ms; only differences are used. */
  now: () => number;
  /** In [0, 1): spreads the reconnects of many processes. */
  random: () => number;
  channel: string;
  onMessage: (text: string) => void;
  /** Messages may have been missed. */
  onSilence: () => void;
  /** The connection stands again after it was lost. */
  onReconnect: () => void;
  /** Called at each change, not at each failure; the first connect is one. */
  onStateChange?: (state: 'up' | 'down', cause?: unknown) => void;
  /** The server does not let this user hear the messages; called when it begins. */
  onMessagesRefused?: (cause: unknown) => void;
}

/** Begins to connect and goes on trying for ever; returns at once, whether Redis is there or not. */
export function createRedisConnection(options: RedisConnectionOptions) {
  const { now, random, channel } = options;
  const retryStrategy = (times: number) =>
    Math.min(longestRetryMs, 25 * 2 ** Math.min(times, 10)) * (0.5 + random() / 2);

  let state: 'starting' | 'up' | 'down' = 'starting';
  let settledFrom = Infinity;
  let lastError: Error | undefined;
  let subscriptionError: Error | undefined;
  let closing = false;
  const firstAttempt = Promise.withResolvers<undefined>();

  const link = createLink({
    settings: options,
    random,
    retryStrategy,
    onStanding() {
      const isFirst = state === 'starting';
      settledFrom = isFirst ? now() : now() + settlingMs;
      state = 'up';
      lastError = undefined;
      firstAttempt.resolve(undefined);
      options.onStateChange?.('up');
      if (!isFirst) options.onReconnect();
    },
    onBroken() {
      settledFrom = Infinity;
      firstAttempt.resolve(undefined);
      // What cut the one has most likely cut the other, which would not notice for a while.
      if (state === 'up' && messages.status === 'ready') messages.disconnect(true);
      if (state === 'down' || closing) return;
      state = 'down';
      options.onStateChange?.('down', lastError);
    },
    onError: (error) => (lastError = withoutArguments(error)),
  });

  const messages = link.openMessages();
  // Of this process alone: its beats are nobody else's business.
  const beatChannel = `${channel}:beat:${randomUUID()}`;
  let primaries = link.primaries();
  let senders = sendersTo(primaries);
  const pulse = createPulse({
    senders() {
      if (primaries !== link.primaries()) {
        primaries = link.primaries();
        senders = sendersTo(primaries);
      }
      return senders;
    },
    now,
    onSilence: options.onSilence,
  });

  function sendersTo(nodes: typeof primaries) {
    const beat = (node: Redis | undefined) => (text: string) =>
      void node?.publish(beatChannel, text).catch(() => undefined);
    return new Map([...nodes].map(([address, node]) => [address, beat(node)]));
  }

  // Without a listener the driver prints; the other connection tells of the outage.
  messages.on('error', () => undefined);
  messages.on('close', () => pulse.interrupt());
  messages.on('ready', listen);
  function listen(): void {
    messages.subscribe(channel, beatChannel).then(
      () => (subscriptionError = undefined),
      (thrown: unknown) => {
        const error = withoutArguments(thrown);
        if (subscriptionError === undefined && isRefusal(error)) options.onMessagesRefused?.(error);
        subscriptionError = error;
        // Somebody may grant the channel meanwhile, which breaks no connection.
        setTimeout(() => messages.status === 'ready' && listen(), askAgainMs).unref();
      },
    );
  }
  messages.on('message', (from: string, text: string) => {
    if (from === beatChannel) pulse.heard(text);
    else options.onMessage(text);
  });

  async function evaluate(script: Script, keys: string[], args: (string | number)[]): Promise<unknown> {
    link.gather();
    try {
      return await withinLimit(commandTimeoutMs, link.commands.evalsha(script.sha1, keys.length, ...keys, ...args));
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return withinLimit(commandTimeoutMs, link.commands.eval(script.lua, keys.length, ...keys, ...args));
    }
  }

  /** Runs `ask` within its deadline; every failure of it is StoreUnavailable. */
  async function asking<T>(ask: () => Promise<T>): Promise<T> {
    if (state === 'starting')
      await Promise.race([firstAttempt.promise, delay(firstAttemptMs, undefined, { ref: false })]);
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
      link.restart();
      throw new StoreUnavailable(new Error('the answer belongs to another question'));
    },

    /** One round trip; fails as well when the server refuses the message channel. */
    async ping(): Promise<void> {
      await asking(() => withinLimit(commandTimeoutMs, link.ping()));
      if (subscriptionError !== undefined) throw new StoreUnavailable(subscriptionError);
    },

    /** Whether the connection stands, and has stood for 2 s if it had to be made more than once. */
    settled: (): boolean => state === 'up' && now() >= settledFrom,

    /** Whether messages are known to arrive. */
    listening: (): boolean => pulse.isAlive(),

    /** Makes every connection from now on with these; those that stand stay. */
    connectWith: (passwords: RedisPasswords): void => link.connectWith(passwords),

    /** Ends all connections for good; resolves when their sockets are gone. */
    async close(): Promise<void> {
      closing = true;
      pulse.stop();
      await Promise.all([link.close(), end(messages)]);
    },
  };
}

/** The connections that the settings call for. `random` is in [0, 1). */
export function createLink(options: LinkOptions & { random: () => number }): RedisLink {
  const { cluster } = options.settings;
  return cluster === undefined ? createServerLink(options) : createClusterLink({ ...options, nodes: cluster.nodes });
}

function isRefusal(error: Error): boolean {
  return error.message.startsWith('NOPERM');
}

/** What the driver threw, fit to be told: its errors carry the command they belong to, and AUTH's arguments are the password. */
export function withoutArguments(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if ('command' in error) delete error.command;
  return error;
}
