// A provider that takes connections and says nothing, and one that is not there yet: whoever has a valid token notices nothing of it.
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Browser } from '../support/browser.ts';
import { newSessionKey, startPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { signIn } from '../support/signed-in.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let redis: RedisServer;
beforeEach(async () => {
  redis = await startRedis();
});
afterEach(() => redis[Symbol.asyncDispose]());

test('at start: sessions of before are served, logins get 503 with a page, and both work once it is there (ST-13)', async () => {
  const provider = await startRealProvider();
  const api = await RecordingUpstream.start();
  const config = {
    redis: { url: redis.url },
    session: { keys: [newSessionKey()] },
    routes: [{ path: '/api', upstream: api.url }],
  };
  const before = await startPostern(provider, config);
  const alice = await signIn(before, provider);
  await provider.goAway();
  const after = await startPostern(provider, { ...config, publicUrl: before.publicUrl, listen: '127.0.0.1:0' });
  try {
    await before.stop();
    expect((await alice.call('/api/x', { on: after })).status).toBe(200);
    expect(JSON.parse((await alice.call('/bff/session', { on: after })).body)).toMatchObject({ authenticated: true });
    await expect(signIn(after, provider)).rejects.toThrow('503');
    await provider.comeBack();
    const login = () => signIn(after, provider).then(...([() => true, () => false] as const));
    await until(login, 25_000);
    expect((await alice.call('/api/x', { on: after })).status).toBe(200);
  } finally {
    await after.stop();
    await Promise.all([provider.close(), api.stop()]);
  }
}, 180_000);

test('at run time: valid tokens work at once, expired ones and logins get an outage in bounded time, and nothing piles up there (ST-14)', async () => {
  await using party = await startRelyingParty({ config: () => ({ redis: { url: redis.url } }) });
  const { op } = party;
  const valid = await login(party, 3_600);
  const expired = await Promise.all(Array.from({ length: 20 }, () => login(party, 1)));
  const calls = () => op.endpoints.seen('token', 'refresh_token');
  await pause(2_500); // A token that is two seconds old is not asked for again, however short its life.
  for (const endpoint of ['token', 'userinfo', 'jwks', 'revocation', 'discovery'] as const) {
    op.endpoints.behaviours[endpoint].fail('hang');
  }

  const watch = startStopwatch();
  const crowd = Promise.all(expired.flatMap((one) => Array.from({ length: 10 }, () => one.fetch('/api/x'))));
  const anotherLogin = party.logIn(party.openBrowser());
  await until(() => calls().length > 0);
  for (let round = 0; round < 50; round += 1) {
    const startedAt = performance.now();
    expect((await valid.fetch('/api/x')).status).toBe(200);
    expect(watch.betweenMs(startedAt, performance.now())).toBeLessThan(1_000);
  }
  const answers = await crowd;
  expect(watch.elapsedMs()).toBeLessThan(17_000);
  watch.stop();
  expect(new Set(answers.map((answer) => `${answer.status} ${answer.json().code}`))).toEqual(
    new Set(['503 provider_unavailable']),
  );
  expect(answers.filter(({ setCookies }) => setCookies.length > 0)).toEqual([]);
  // One for each session, however many calls wait for it.
  expect(calls().length).toBeLessThanOrEqual(expired.length);
  expect((await anotherLogin).status).toBe(503);

  // Silence on five calls in a row: from now on one caller at a time may try, and the others are not let wait for it.
  await until(() => op.endpoints.requests.every(({ endedAt }) => endedAt !== undefined), 25_000);
  const asked = calls().length;
  const later = await Promise.all(expired.map((one) => one.fetch('/api/x')));
  expect(new Set(later.map(({ status }) => status))).toEqual(new Set([503]));
  expect(calls().length).toBeLessThanOrEqual(asked + 1);
}, 180_000);

/** Somebody whose access token lives that long. */
function login(party: RelyingParty, seconds: number): Promise<Browser> {
  party.op.does.tokenResponse = { expires_in: seconds };
  return party.signedInBrowser();
}
