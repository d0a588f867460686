// Three replicas behind a load balancer, restarted one after the other as every deploy does, while calls come in.
import { expect, test } from '@jest/globals';
import { request } from 'undici';
import { startBalancer } from '../support/balancer.ts';
import { freePort } from '../support/free-port.ts';
import { baseConfig, startPosternProcess } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { startRedis } from '../support/redis.ts';
import { register } from '../support/postern.ts';
import type { PosternProcess } from '../support/postern.ts';
import { signIn } from '../support/signed-in.ts';
import { startLoad } from '../support/steady-load.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

test('a rolling restart of three replicas under load fails no request, and every process ends with 0 (ST-20, PX-19)', async () => {
  await using redis = await startRedis();
  // Tokens expire on the way, so that refreshes are under way as well.
  const [provider, api] = await Promise.all([
    startRealProvider({ accessTokenTtlSeconds: 4 }),
    RecordingUpstream.start(),
  ]);
  const config = baseConfig(await freePort(), provider, {
    redis: { url: redis.url },
    routes: [{ path: '/api', upstream: api.url }],
    // The balancer has noticed by then, on a slow machine too.
    shutdown: { delay: '3s' },
  });
  register(provider, String(config['publicUrl']));
  const replicas: PosternProcess[] = [];
  const toStop: { stop(): Promise<void> }[] = [];
  const startOne = () => startPosternProcess({ ...config, listen: '127.0.0.1:0' });
  try {
    for (let index = 0; index < 3; index += 1) replicas.push(await startOne());
    const balancer = await startBalancer(replicas);
    toStop.push(balancer);
    await until(() => balancer.inService() === 3);
    const users = await Promise.all(['alice', 'bob'].map((user) => signIn(replicas[0]!, provider, user)));
    const host = new URL(replicas[0]!.publicUrl).host;
    let turn = 0;
    const load = startLoad(60, async () => {
      const { cookie } = users[(turn += 1) % users.length]!;
      const isUpload = turn % 5 === 0;
      const { statusCode, body } = await request(`${balancer.address}/api/x`, {
        method: isUpload ? 'POST' : 'GET',
        ...(isUpload && { body: 'x'.repeat(10_000) }),
        headers: { host, cookie, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
      });
      await body.dump();
      return statusCode;
    });
    toStop.unshift(load);
    for (let index = 0; index < 3; index += 1) {
      const before = load.made();
      await until(() => load.made() > before + 60);
      const leaving = replicas[index]!;
      leaving.signal('SIGTERM');
      expect(await leaving.exitCode).toBe(0);
      await leaving.stop();
      const next = (replicas[index] = await startOne());
      balancer.replace(index, next);
      await until(() => balancer.inService() === 3);
    }
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(load.made()).toBeGreaterThan(500);
  } finally {
    for (const one of toStop) await one.stop();
    await Promise.all(replicas.map((replica) => replica.stop()));
    await Promise.all([provider.close(), api.stop()]);
  }
}, 180_000);
