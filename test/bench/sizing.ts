// `npm run bench -- --sizing`: how much memory sessions take, in Redis and in the process, and what a refresh sends over the network.
// Everything is written by Postern's own code into a redis-server of its own; docs/sizing.md says what to make of the figures.
import { release, cpus } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { TokenSet } from '../../src/oidc/token-set.ts';
import { hashOf } from '../../src/session/cookie.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { openTypicalSessions, typicalTokens } from './typical-sessions.ts';
import type { TokenSizes, TypicalSessions } from './typical-sessions.ts';

export interface SizingExtent {
  /** In Redis. */
  sessions: number;
  /** In the near cache. */
  opened: number;
}

interface Login {
  sessionId: string;
  tokens: TokenSet;
}

const usual: TokenSizes = { access: 1_200, id: 1_000, refresh: 500 };
const otherSizes: Record<string, TokenSizes> = {
  'opaque access and refresh tokens': { access: 40, id: 1_000, refresh: 40 },
  'the usual ones': usual,
  'an access token full of roles': { access: 4_000, id: 2_000, refresh: 1_500 },
};
const samples = 1_000;
// Few enough that no command waits for its turn longer than the store allows.
const atATime = 100;

/** Measures, prints, and ends whatever it started. */
export async function measureSizing({ sessions: count, opened }: SizingExtent): Promise<void> {
  await using redis = await startRedis();
  const parts = await openTypicalSessions({ url: redis.url, nearCacheEntries: opened, now: stoppedClock() });
  try {
    await printMachine(redis);
    // Scripts, buffers and code are there before anything is counted.
    await inTurn(await logIn(parts, atATime, usual), async ({ sessionId, tokens }) => {
      await parts.store.load(hashOf(sessionId));
      await parts.store.slide(hashOf(sessionId));
      await refreshOnce(parts, sessionId, tokens);
    });
    await redis.command('FLUSHALL');
    const logins = await printMemory(redis, parts, count);
    await printTraffic(redis, parts, logins.slice(0, samples));
    await printOtherSizes(redis, parts);
    await printProcess(redis, parts, logins.slice(-opened));
  } finally {
    await parts.close();
  }
}

// What is kept for five seconds stays as long as this takes.
function stoppedClock(): () => number {
  const startedAt = Date.now();
  return () => startedAt;
}

async function printMachine(redis: RedisServer): Promise<void> {
  const version = /redis_version:(\S+)/.exec(await info(redis, 'server'))?.[1];
  console.log(`${cpus().length} CPUs, Node ${process.versions.node}, Linux ${release()}, Redis ${version}`);
  console.log(`tokens: ${describe(usual)}\n`);
}

async function printMemory(redis: RedisServer, parts: TypicalSessions, count: number): Promise<Login[]> {
  const before = await memory(redis);
  const logins = Array.from({ length: count }, () => ({ sessionId: '', tokens: typicalTokens(usual) }));
  await inTurn(logins, async (login) => {
    login.sessionId = await parts.writeRecord(login.tokens);
  });
  const withRecords = await memory(redis);
  await inTurn(logins, ({ sessionId, tokens }) => parts.addToIndex(sessionId, tokens));
  const withIndex = await memory(redis);
  await inTurn(logins, ({ sessionId, tokens }) => parts.putTokens(sessionId, tokens));
  const whole = await memory(redis);

  const each = (from: number, to: number): string => rounded((to - from) / count);
  console.log(`${count} sessions in Redis, bytes each (used_memory): ${each(before.used, whole.used)}`);
  console.log(`  session record ${each(before.used, withRecords.used)}`);
  console.log(
    `  index          ${each(withRecords.used, withIndex.used)} (by subject and by sid, one session under each)`,
  );
  console.log(`  token record   ${each(withIndex.used, whole.used)}`);
  console.log(`  as the system sees it (used_memory_rss): ${each(before.rss, whole.rss)}`);
  const sealed = await parts.store.load(hashOf(logins[0]!.sessionId));
  if (sealed === null || sealed === 'unreadable') throw new Error('The first session is not there');
  console.log(`  of the token record, the sealed tokens: ${sealed.main.length}\n`);
  return logins;
}

async function printTraffic(redis: RedisServer, parts: TypicalSessions, logins: Login[]): Promise<void> {
  const read = await traffic(redis, logins, ({ sessionId }) => parts.store.load(hashOf(sessionId)));
  const activity = await traffic(redis, logins, ({ sessionId }) => parts.store.slide(hashOf(sessionId)));
  const refresh = await traffic(redis, logins, ({ sessionId, tokens }) => refreshOnce(parts, sessionId, tokens));
  const login = await traffic(redis, logins, async () => logInOnce(parts, usual));
  console.log('bytes between one process and Redis, to it and from it:');
  for (const [name, { to, from }] of Object.entries({
    login,
    'reading a session': read,
    'noting activity': activity,
    refresh,
  })) {
    console.log(`  ${name.padEnd(18)} ${rounded(to).padStart(6)} ${rounded(from).padStart(6)}`);
  }
  console.log();
}

async function printOtherSizes(redis: RedisServer, parts: TypicalSessions): Promise<void> {
  console.log('token record in Redis, bytes (MEMORY USAGE); with --hash-max-listpack-value 16384:');
  for (const [name, sizes] of Object.entries(otherSizes)) {
    const ordinary = await tokenRecord(redis, parts, sizes);
    await redis.command('CONFIG', 'SET', 'hash-max-listpack-value', 16_384);
    const packed = await tokenRecord(redis, parts, sizes);
    await redis.command('CONFIG', 'SET', 'hash-max-listpack-value', 64);
    console.log(`  ${rounded(ordinary)}, ${rounded(packed)}: ${name} (${describe(sizes)})`);
  }
  console.log();
}

async function printProcess(redis: RedisServer, { store, vault }: TypicalSessions, logins: Login[]): Promise<void> {
  // A cookie brings an id of its own with every call.
  const load = () =>
    inTurn(logins, ({ sessionId }) =>
      vault.load({ sessionId: Buffer.from(sessionId).toString(), h: hashOf(sessionId) }),
    );
  const empty = heap();
  await load();
  const opened = heap();
  const scripts = await scriptsRun(redis);
  await load();
  if ((await scriptsRun(redis)) !== scripts) throw new Error('Not all of them were kept: the figure would be too low');
  await inTurn(logins, async ({ sessionId }) => {
    const h = hashOf(sessionId);
    const record = await store.load(h);
    if (record !== null && record !== 'unreadable') vault.committed(sessionId, h, record);
  });
  const committed = heap();
  console.log(`${logins.length} sessions in the process, bytes of heap each:`);
  console.log(`  opened, in the near cache                    ${rounded((opened - empty) / logins.length)}`);
  console.log(`  refreshed, sealed, kept against a failover   ${rounded((committed - opened) / logins.length)}`);
}

async function logIn(parts: TypicalSessions, count: number, sizes: TokenSizes): Promise<Login[]> {
  return inTurn(Array.from({ length: count }), () => logInOnce(parts, sizes));
}

async function logInOnce(parts: TypicalSessions, sizes: TokenSizes): Promise<Login> {
  const tokens = typicalTokens(sizes);
  const sessionId = await parts.writeRecord(tokens);
  await parts.addToIndex(sessionId, tokens);
  await parts.putTokens(sessionId, tokens);
  return { sessionId, tokens };
}

async function refreshOnce({ store, vault }: TypicalSessions, sessionId: string, tokens: TokenSet): Promise<void> {
  const h = hashOf(sessionId);
  const attempt = { h, revision: 1, owner: sessionId };
  const begun = await store.begin(attempt, 25_000);
  const main = vault.seal({ sessionId, h }, 2, { ...tokens, ...typicalTokens(usual) });
  const committed = await store.commit(attempt, { main, expiresInMs: 300_000 });
  if (begun.kind !== 'begun' || committed.kind !== 'committed') throw new Error(`${begun.kind}, ${committed.kind}`);
}

async function tokenRecord(redis: RedisServer, parts: TypicalSessions, sizes: TokenSizes): Promise<number> {
  const logins = await logIn(parts, atATime, sizes);
  const usages = await Promise.all(
    logins.map(({ sessionId }) =>
      redis.command('MEMORY', 'USAGE', `postern:{${hashOf(sessionId)}}:tokens`, 'SAMPLES', 0),
    ),
  );
  return usages.reduce<number>((sum, usage) => sum + Number(usage), 0) / usages.length;
}

/** Each of them in its turn, a hundred at a time. */
async function inTurn<Item, Result>(items: Item[], act: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (let first = 0; first < items.length; first += atATime) {
    results.push(...(await Promise.all(items.slice(first, first + atATime).map(act))));
  }
  return results;
}

async function traffic(redis: RedisServer, logins: Login[], act: (login: Login) => Promise<unknown>) {
  const before = await network(redis);
  await inTurn(logins, act);
  const after = await network(redis);
  return { to: (after.to - before.to) / logins.length, from: (after.from - before.from) / logins.length };
}

const info = async (redis: RedisServer, section: string): Promise<string> =>
  String(await redis.command('INFO', section));

function figure(text: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1] ?? NaN);
}

async function network(redis: RedisServer): Promise<{ to: number; from: number }> {
  const text = await info(redis, 'stats');
  return { to: figure(text, 'total_net_input_bytes'), from: figure(text, 'total_net_output_bytes') };
}

async function scriptsRun(redis: RedisServer): Promise<number> {
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await info(redis, 'commandstats'))?.[1]);
}

/** When it has come to rest: while a table of keys grows, Redis keeps the old one and the new one. */
async function memory(redis: RedisServer): Promise<{ used: number; rss: number }> {
  let last: string[] = [];
  let text = '';
  await until(async () => {
    text = await info(redis, 'memory');
    last = [...last, text].slice(-20);
    const used = last.map((reading) => figure(reading, 'used_memory'));
    return last.length === 20 && Math.max(...used) - Math.min(...used) < 200_000;
  });
  return { used: figure(text, 'used_memory'), rss: figure(text, 'used_memory_rss') };
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heap(): number {
  // What the first round finalizes, only the second takes away.
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const describe = ({ access, id, refresh }: TokenSizes): string =>
  `access ${access}, ID ${id}, refresh ${refresh} characters`;
const rounded = (figure: number): string => figure.toFixed(0);
