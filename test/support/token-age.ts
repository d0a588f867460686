// Time that goes by for the tokens of one session alone: in its record in Redis. A test that has to wait for an expiry races with it as well,
// on a machine that is slow enough.
import { hashOf } from '../../src/session/cookie.ts';
import type { Postern } from './postern.ts';
import type { RedisServer } from './redis.ts';
import { accessTokenExpiresIn } from './signed-in.ts';
import type { SignedIn } from './signed-in.ts';
import { until } from './until.ts';

type Commands = Pick<RedisServer, 'command'>;

/** The name of the session in the store. */
export const hOf = ({ cookie }: Pick<SignedIn, 'cookie'>): string =>
  hashOf(decodeURIComponent(cookie).split('=s:')[1]!.split('.')[0]!);

/** The key of the session's token record. */
export const tokensKeyOf = (person: Pick<SignedIn, 'cookie'>): string => `postern:{${hOf(person)}}:tokens`;

/** As if the tokens had come so much earlier. Every process that has the session opened is told to read it again. */
export async function ageTokens(person: Pick<SignedIn, 'cookie'>, redis: Commands, ms: number): Promise<void> {
  const key = tokensKeyOf(person);
  for (const field of ['refreshedAt', 'expiresAt']) await redis.command('HINCRBY', key, field, -ms);
  const revision = Number(await redis.command('HGET', key, 'revision'));
  const message = { what: 'failed', h: hOf(person), revision };
  await redis.command('PUBLISH', 'postern:messages', JSON.stringify(message));
}

/** The refresh that is under way has had all the time that it may take; with a negative `ms` it has so much more. */
export async function outlastAttempt(person: Pick<SignedIn, 'cookie'>, redis: Commands, ms = 60_000): Promise<void> {
  await redis.command('HINCRBY', tokensKeyOf(person), 'attemptDeadlineAt', -ms);
}

/** The access token has expired, and each of these processes knows. */
export async function expireToken(person: SignedIn, redis: Commands, on: readonly Postern[]): Promise<void> {
  const [refreshedAt, expiresAt] = (await redis.command('HMGET', tokensKeyOf(person), 'refreshedAt', 'expiresAt')) as [
    string,
    string,
  ];
  await ageTokens(person, redis, Number(expiresAt) - Number(refreshedAt) + 1_000);
  for (const postern of on) {
    await until(async () => accessTokenExpiresIn((await person.call('/bff/session', { on: postern })).body) === 0);
  }
}
