// One user's token must never travel in another user's call, whatever happens at the same time.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { startPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';

const users = 200;

test('200 users whose tokens all expire at once, with callers hanging up in between: every call carries its own user’s token (TK-03, ST-01)', async () => {
  // Says whose token it was given.
  const api = createServer((request, response) => {
    response.end(decodeJwt(String(request.headers.authorization).slice('Bearer '.length)).sub);
  }).listen(0, '127.0.0.1');
  await once(api, 'listening');
  const upstream = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
  const redis = await startRedis();
  const provider = await startRealProvider({ accessTokenTtlSeconds: 4, audience: 'https://api.example.test' });
  const postern = await startPostern(provider, { redis: { url: redis.url }, routes: [{ path: '/api', upstream }] });
  try {
    const crowd: { user: string; session: SignedIn }[] = [];
    for (let first = 0; first < users; first += 20) {
      const batch = Array.from({ length: 20 }, (_, index) => `user-${first + index}`);
      crowd.push(
        ...(await Promise.all(batch.map(async (user) => ({ user, session: await signIn(postern, provider, user) })))),
      );
    }
    await crowd.at(-1)!.session.untilExpired();
    // The next ones live longer than all of this takes.
    provider.lifetime.accessTokenSeconds = 300;

    const mistaken: string[] = [];
    const call = async ({ user, session }: (typeof crowd)[number]): Promise<void> => {
      const hangUp = new AbortController();
      const impatient = session.call('/api/x', { signal: hangUp.signal }).catch(() => undefined);
      const patient = [session.call('/api/x'), session.call('/api/x')];
      hangUp.abort();
      await impatient;
      for (const { status, body } of await Promise.all(patient)) {
        if (status !== 200 || body !== user) mistaken.push(`${user} got ${status} ${body}`);
      }
    };
    await Promise.all(crowd.map(call));
    expect(mistaken).toEqual([]);
    expect(provider.endpoints.seen('token', 'refresh_token')).toHaveLength(users);
  } finally {
    await postern.stop();
    await provider.close();
    await redis[Symbol.asyncDispose]();
    api.closeAllConnections();
    api.close();
  }
}, 240_000);
