// What Redis says and does when an operator asks: facts, which are judged elsewhere. It is reached exactly as the store reaches it.
// Nothing is left behind: the one key that is made, `postern:doctor:…`, is gone within the script that makes it.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { messagesChannel, namedKey } from './keys.ts';
import { createLink, withoutArguments } from './redis-connection.ts';
import { parseInfo, type ServerInfo } from './redis-info.ts';
import { end, type RedisLink } from './redis-link.ts';
import { reasonIn, toRefusals, tryCommands, type Refusal } from './redis-permissions.ts';
import { load } from './redis-scripts.ts';
import type { RedisSettings } from './redis-settings.ts';

export type RedisExamination =
  { kind: 'unreachable'; reason: string } | { kind: 'reached'; servers: ServerExamination[]; messages: MessagesAnswer };

/** One server that takes writes. */
export interface ServerExamination {
  /** host:port, as it is connected to. */
  address: string;
  /** Undefined when the user may not ask, or nothing came back. */
  info: ServerInfo | undefined;
  /** Whether snapshots are configured; undefined when it is not known, or makes no difference. */
  snapshots: boolean | undefined;
  /** How far its clock is ahead of ours. */
  clockOffsetMs: number | undefined;
  /** What the store does and this server does not let it. */
  refusals: Refusal[];
}

/** Whether what is published at every server arrives. */
export type MessagesAnswer = { kind: 'heard' } | { kind: 'refused'; reason: string } | { kind: 'silent' };

const reachMs = 6_000;
const hearMs = 2_000;
const retryMs = 250;
/** In a Cluster each server knows keys of its own slots only: one is found by trying. */
const mostKeys = 200;

/**
 * Asks every server that takes writes. Takes at most some 15 s, never throws, tells no secret.
 *
 * @param options.now epoch ms
 * @param options.random in [0, 1)
 */
export async function examineRedis(
  settings: RedisSettings,
  options: { now: () => number; random: () => number },
): Promise<RedisExamination> {
  const { now, random } = options;
  const standing = Promise.withResolvers<undefined>();
  let lastError: Error | undefined;
  const link = createLink({
    settings,
    random,
    retryStrategy: () => retryMs,
    onStanding: () => standing.resolve(undefined),
    onBroken: () => standing.reject(lastError ?? new Error('the connection was closed')),
    onError: (error) => (lastError = withoutArguments(error)),
  });
  try {
    const limit = delay(reachMs, undefined, { ref: false }).then(() => {
      throw lastError ?? new Error(`no answer within ${reachMs / 1000} s`);
    });
    await Promise.race([standing.promise, limit]);
    const primaries = [...link.primaries().values()].filter((server) => server !== undefined);
    const [servers, messages] = await Promise.all([
      Promise.all(primaries.map((server) => examineServer(server, now))),
      examineMessages(link, primaries),
    ]);
    return { kind: 'reached', servers, messages };
  } catch (error) {
    return { kind: 'unreachable', reason: reasonOf(error) };
  } finally {
    await link.close();
  }
}

async function examineServer(server: Redis, now: () => number): Promise<ServerExamination> {
  const refusals: Refusal[] = [];
  const asked = async <T>(command: string, ask: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await ask();
    } catch (error) {
      refusals.push({ command, error: reasonOf(error) });
      return undefined;
    }
  };
  const text = await asked('INFO', () => server.info());
  const info = text === undefined ? undefined : parseInfo(text);
  const clockOffsetMs = await asked('TIME', () => clockOffset(server, now));
  await asked('EVALSHA', () => server.evalsha(load.sha1, 1, namedKey('doctor')).catch(unlessItIsNotLoaded));
  const tried = await asked('EVAL', () => inSomeSlot((key) => server.eval(tryCommands.lua, 1, key, messagesChannel)));
  refusals.push(...toRefusals(tried).filter(({ command }) => !refusals.some((known) => known.command === command)));
  const saves = info?.appendOnly === true ? undefined : await snapshots(server);
  return { address: addressOf(server), info, snapshots: saves, clockOffsetMs, refusals };
}

// With sentinels the options do not say where the connection leads.
function addressOf(server: Redis): string {
  const { host, port, sentinels } = server.options;
  const { stream } = server as { stream?: Partial<Socket> };
  return Array.isArray(sentinels) ? `${stream?.remoteAddress}:${stream?.remotePort}` : `${host}:${port}`;
}

async function clockOffset(server: Redis, now: () => number): Promise<number> {
  const askedAt = now();
  const [seconds, microseconds] = await server.time();
  return Number(seconds) * 1000 + Number(microseconds) / 1000 - (askedAt + now()) / 2;
}

// A script that a server has not seen yet is sent whole; a key of another server's slot was refused for that reason alone.
function unlessItIsNotLoaded(error: unknown): void {
  if (!/^(NOSCRIPT|MOVED)/.test(reasonOf(error))) throw error;
}

async function inSomeSlot<T>(ask: (key: string) => Promise<T>): Promise<T> {
  for (let times = 1; ; times += 1) {
    try {
      return await ask(namedKey(`doctor:${randomUUID()}`));
    } catch (error) {
      if (times >= mostKeys || !reasonOf(error).startsWith('MOVED')) throw error;
    }
  }
}

// The documented user may not ask, which says nothing about the server.
async function snapshots(server: Redis): Promise<boolean | undefined> {
  try {
    const [, points] = await server.config('GET', 'save');
    return points !== undefined && points !== '';
  } catch {
    return undefined;
  }
}

async function examineMessages(link: RedisLink, primaries: Redis[]): Promise<MessagesAnswer> {
  const messages = link.openMessages();
  messages.on('error', () => undefined);
  const channel = `${messagesChannel}:doctor:${randomUUID()}`;
  const heard = new Set<string>();
  const signal = AbortSignal.timeout(hearMs);
  try {
    if (messages.status !== 'ready') await once(messages, 'ready', { signal });
    await messages.subscribe(messagesChannel, channel);
    messages.on('message', (_channel: string, text: string) => void heard.add(text));
    await Promise.all(primaries.map((server, index) => server.publish(channel, String(index))));
    while (heard.size < primaries.length) await once(messages, 'message', { signal });
    return { kind: 'heard' };
  } catch (error) {
    const reason = reasonOf(error);
    return reason.startsWith('NOPERM') ? { kind: 'refused', reason } : { kind: 'silent' };
  } finally {
    await end(messages);
  }
}

// Of a Cluster or of sentinels the driver says that none has answered; why is one step further.
function reasonOf(error: unknown): string {
  const told = withoutArguments(error);
  const { lastNodeError } = told as { lastNodeError?: Error };
  const last = lastNodeError ?? /^All sentinels are unreachable.* Last error: (.*)$/s.exec(told.message)?.[1];
  if (last === undefined) return reasonIn(told.message);
  return `none of the nodes is of use, the last one said: ${reasonIn(typeof last === 'string' ? last : last.message)}`;
}
