// A session that somebody ends while its login is still being written.
import { expect, test } from '@jest/globals';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { startPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import { signIn } from '../support/signed-in.ts';
import { until } from '../support/until.ts';

test('a session that is ended between its index entry and its tokens does not come to life (BCL-16, SES-09)', async () => {
  const redis = await startRedis();
  const link = await startFaultProxy(redis);
  const provider = await startRealProvider();
  const postern = await startPostern(provider, { redis: { url: `redis://127.0.0.1:${link.port}` } });
  const keys = async (pattern: string) => (await redis.command('KEYS', pattern)) as string[];
  try {
    await signIn(postern, provider, 'bob');
    const before = await keys('postern:{*}:session');
    // Slow enough to come between two of the login's commands.
    link.delay(150);
    const login = signIn(postern, provider);
    login.catch(() => undefined);
    await until(async () => (await keys('postern:sub:*')).length === 2);
    // What an operator's, a limit's or the user's own ending does to a session that has no tokens yet.
    const made = (await keys('postern:{*}:session')).filter((key) => !before.includes(key));
    for (const key of made) await redis.command('DEL', key);
    await expect(login).rejects.toThrow();
    await until(async () => (await keys('postern:{*}:tokens')).length === 1);
  } finally {
    link.heal();
    await postern.stop();
    await provider.close();
    await link.close();
    await redis[Symbol.asyncDispose]();
  }
});

test('a login that cannot be written is no login: it is counted and written down as one that failed, and nobody is signed in', async () => {
  const redis = await startRedis();
  const link = await startFaultProxy(redis);
  await using party = await startRelyingParty({
    config: () => ({ redis: { url: `redis://127.0.0.1:${link.port}` } }),
  });
  try {
    const release = party.op.endpoints.behaviours.userinfo.hold();
    const browser = party.openBrowser();
    const login = party.logIn(browser);
    await until(() => party.op.endpoints.seen('userinfo').length === 1);
    link.cut();
    release();
    expect((await login).status).toBe(503);
    expect(party.sessionCookieOf(browser)).toBeUndefined();
    const counted = await party.postern.metric('postern_logins_total');
    expect(counted).toContain('postern_logins_total{outcome="unavailable"} 1');
    expect(counted).not.toContain('postern_logins_total{outcome="signed-in"} 1');
    const told = party.postern.log.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(told.filter(({ event }) => event === 'login_failed')).toMatchObject([{ reason: 'unavailable' }]);
  } finally {
    link.heal();
    await link.close();
    await redis[Symbol.asyncDispose]();
  }
});
