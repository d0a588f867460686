// Visitors without a session: they cost the store nothing, so the store's outage costs them nothing.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { request } from 'undici';
import { appOnDisk } from '../support/app-request.ts';
import type { AppOnDisk } from '../support/app-request.ts';
import { startRedis } from '../support/redis.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { refusedHandshake } from '../support/socket-client.ts';
import { until } from '../support/until.ts';

let redis: RedisServer;
let app: AppOnDisk;
let party: RelyingParty;
beforeAll(async () => {
  [redis, app] = await Promise.all([startRedis(), appOnDisk({ 'main.js': 'start()' })]);
  party = await startRelyingParty({
    config: (_op, api) => ({
      redis: { url: redis.url },
      spa: { directory: app.directory },
      routes: [
        { path: '/api', upstream: api.url, websocket: true },
        { path: '/optional', upstream: api.url, auth: 'optional' },
        { path: '/public', upstream: api.url, auth: 'none' },
      ],
    }),
  });
});
// One login before, so that whatever is loaded once has been.
beforeEach(async () => expect(await party.bearerOf(await party.signedInBrowser())).toBeDefined());
afterAll(async () => {
  await party[Symbol.asyncDispose]();
  await Promise.all([redis[Symbol.asyncDispose](), app.remove()]);
});

const script = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };
const typed = {
  ...{ 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
  accept: 'text/html',
};
type Visit = [path: string, status: number, options?: { method?: 'POST'; headers?: Record<string, string> }];
const visits: Visit[] = [
  ['/', 200, { headers: typed }],
  ['/some/page', 200, { headers: typed }],
  ['/main.js', 200],
  ['/api/x', 401],
  ['/api/x', 401, { method: 'POST' }],
  ['/optional/x', 200],
  ['/public/x', 200],
  ['/bff/session', 200],
  ['/bff/login', 302, { headers: typed }],
  ['/bff/callback?code=guessed&state=guessed', 400, { headers: typed }],
  ['/bff/refresh', 401, { method: 'POST' }],
  ['/bff/logout', 200, { method: 'POST' }],
  ['/bff/sessions', 401],
  ['/bff/events', 401],
];

/** Every kind of visit once; with `cookie`, by somebody who made up a cookie. */
async function visitEverything(cookie?: string): Promise<void> {
  const { address, publicUrl } = party.postern;
  const more = { host: new URL(publicUrl).host, ...(cookie !== undefined && { cookie }) };
  for (const [path, status, { method = 'GET', headers = script } = {}] of visits) {
    const answer = await request(address + path, { method, headers: { ...headers, ...more } });
    await answer.body.dump();
    expect([path, answer.statusCode]).toEqual([path, status]);
  }
  expect((await refusedHandshake(party.postern, '/api/ws', { Cookie: cookie })).status).toBe(401);
}

/** How often each command was given, save those that keep a connection and its messages alive. */
async function commands(): Promise<string[]> {
  const idle = /^cmdstat_(publish|subscribe|ping|info|hello|client|auth|select|keys)/;
  return String(await redis.command('INFO', 'commandstats'))
    .split('\r\n')
    .filter((line) => line.startsWith('cmdstat_') && !idle.test(line))
    .map((line) => line.split(',', 1)[0]!);
}

test('a thousand requests without a session leave no key in Redis and cost no command (S-16)', async () => {
  await redis.command('FLUSHALL');
  const before = await commands();
  expect(before.join()).toContain('eval');
  const rounds = Math.ceil(1_000 / (visits.length + 1));
  for (let round = 0; round < rounds; round += 1) {
    await visitEverything(round % 2 === 0 ? undefined : `${cookieName()}=s%3Amade-up.signature`);
  }
  expect(await redis.command('KEYS', '*')).toEqual([]);
  expect(await commands()).toEqual(before);
});

test('while Redis is away they are served as ever, and the process is alive (ST-06)', async () => {
  await redis.stop();
  try {
    const ready = `${party.postern.operationsUrl}/readyz`;
    await until(async () => (await (await fetch(ready)).text()).includes('"store":"down"'));
    await visitEverything();
    expect((await fetch(`${party.postern.operationsUrl}/livez`)).status).toBe(200);
  } finally {
    await redis.start();
  }
  const { operationsUrl } = party.postern;
  await until(async () => (await (await fetch(`${operationsUrl}/readyz`)).text()).includes('"store":"up"'));
});

const cookieName = (): string => `postern-${new URL(party.postern.publicUrl).port}`;
