// Whatever fails, wherever a request waits for somebody else: the waiting has an answer of ours, and the process that gave it goes on.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import type { EndpointName, Fault } from '../support/endpoint.ts';
import { freePort } from '../support/free-port.ts';
import { startMisbehavingProvider } from '../support/misbehaving-provider.ts';
import type { MisbehavingProvider } from '../support/misbehaving-provider.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import type { FaultProxy } from '../support/fault-proxy.ts';
import { baseConfig, newSessionKey, startPosternProcess } from '../support/postern.ts';
import type { PosternProcess } from '../support/postern.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let provider: MisbehavingProvider;
let redis: RedisServer;
let link: FaultProxy;
let api: RecordingUpstream;
let postern: PosternProcess;
beforeAll(async () => {
  [provider, redis, api] = await Promise.all([startMisbehavingProvider(), startRedis(), RecordingUpstream.start()]);
  link = await startFaultProxy(redis);
  postern = await startPosternProcess(
    baseConfig(await freePort(), provider, {
      redis: { url: `redis://127.0.0.1:${link.port}` },
      session: { keys: [newSessionKey()], nearCache: { enabled: false } },
      routes: [{ path: '/api', upstream: api.url, timeout: { headers: '1s' } }],
    }),
  );
});
afterAll(async () => {
  await postern.stop();
  await Promise.all([provider.close(), api.stop(), link.close()]);
  await redis[Symbol.asyncDispose]();
});

const visitable = { visit: (url: string) => provider.authorize(new URL(url)) };
const login = (): Promise<SignedIn> => signIn(postern, visitable);

/** Everything a user does, at once, and then a logout; what it is all answered with. */
async function everything(alice: SignedIn): Promise<number[]> {
  const outcomes = await Promise.all([
    alice.call('/api/x'),
    alice.call('/api/x', { method: 'POST' }),
    alice.call('/bff/session'),
    alice.call('/bff/refresh', { method: 'POST' }),
    alice.call('/bff/sessions'),
    login().then(
      () => 303,
      (error: unknown) => Number(/answered (\d+)/.exec(String(error))?.[1]),
    ),
    request(`${postern.address}/bff/backchannel-logout`, {
      method: 'POST',
      headers: { host: new URL(postern.publicUrl).host, 'content-type': 'application/x-www-form-urlencoded' },
      body: `logout_token=${provider.logoutToken({ sid: 'nobody' })}`,
    }).then(async ({ statusCode, body }) => (await body.dump(), statusCode)),
  ]);
  const logout = await alice.call('/bff/logout', { method: 'POST' });
  return [...outcomes, logout].map((outcome) => (typeof outcome === 'number' ? outcome : outcome.status));
}

const atTheProvider = (endpoint: EndpointName, fault: Fault): [string, () => void, () => void] => [
  `${JSON.stringify(fault)} at the provider’s ${endpoint} endpoint`,
  () => provider.endpoints.behaviours[endpoint].fail(fault),
  () => provider.endpoints.behaviours[endpoint].recover(),
];
const ofTheApi = (name: string, answer: typeof api.answer): [string, () => void, () => void] => [
  `an API that ${name}`,
  () => (api.answer = answer),
  () => api.reset(),
];
const faults: Fault[] = [
  'unavailable',
  'reset',
  'lose-answer',
  'html',
  'oversized',
  'truncated',
  'redirect',
  { error: 'x', status: 418 },
];

test.each([
  ...(['token', 'userinfo', 'revocation'] as const).flatMap((endpoint) =>
    faults.map((fault) => atTheProvider(endpoint, fault)),
  ),
  ofTheApi('resets', (_request, response) => response.socket?.resetAndDestroy()),
  ofTheApi('never answers', () => undefined),
  ofTheApi('breaks off', (_request, response) => {
    response.writeHead(200, { 'content-length': '9' }).write('half', () => response.socket?.destroy());
  }),
  ofTheApi('refuses every token', (_request, response) => void response.writeHead(401).end()),
  ['a store that is cut off', () => link.cut(), () => link.heal()],
  ['a store whose connections are reset', () => link.reset(), () => undefined],
  ['a store that is silent', () => link.silence(), () => link.heal()],
] as [string, () => void, () => void][])(
  '%s: every request is answered, and the process goes on (DL-11, SEC-07)',
  async (_what, begin, mend) => {
    const alice = await login();
    begin();
    try {
      const statuses = await everything(alice).catch((error: unknown) => String(error));
      // An answer of the API that breaks off is cut here too.
      if (typeof statuses === 'string') expect(statuses).toMatch(/aborted|terminated|other side closed|ended/);
      else for (const status of statuses) expect([200, 303, 400, 401, 404, 502, 503, 504]).toContain(status);
    } finally {
      mend();
    }
    await until(async () => login().then(...([() => true, () => false] as const)), 25_000);
    const bob = await login();
    await until(async () => (await bob.call('/api/x')).status === 200);
    expect(
      postern.output.filter((line) => /unhandled|uncaught|^ {4}at |"level":"(error|fatal)".*defect/i.test(line)),
    ).toEqual([]);
  },
  180_000,
);
