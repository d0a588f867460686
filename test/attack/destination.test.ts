// The Bearer token goes where the configuration says and nowhere else, whatever a signed-in browser is made to ask for (RFC 10017 section 6.1.3.6).
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { exchange } from '../support/raw-client.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { HostileUpstream, RecordingUpstream } from '../support/upstream.ts';

/** Listens for anything at all: not one connection may arrive. */
let evil: HostileUpstream;
let orders: RecordingUpstream;
let catalog: RecordingUpstream;
let party: RelyingParty;
let cookie: string;
let bearer: string;

beforeAll(async () => {
  [evil, orders, catalog] = await Promise.all([
    HostileUpstream.start((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')),
    RecordingUpstream.start(),
    RecordingUpstream.start(),
  ]);
  const routes = [
    { path: '/api', upstream: orders.url },
    { path: '/api/catalog', upstream: catalog.url, token: 'none' },
    { path: '/open', upstream: catalog.url, auth: 'none' },
  ];
  party = await startRelyingParty({ config: () => ({ routes, spa: { upstream: catalog.url } }) });
  const browser = await party.signedInBrowser();
  cookie = browser.jar.headerFor(new URL(party.postern.publicUrl), { isSameSite: true, isTopLevelRead: true });
  await browser.fetch('/api/x');
  bearer = orders.last.headers.authorization!;
});
afterAll(async () => {
  await party[Symbol.asyncDispose]();
  await Promise.all([evil.stop(), orders.stop(), catalog.stop()]);
});
beforeEach(() => {
  orders.requests.length = 0;
  catalog.requests.length = 0;
});

const authority = (): string => evil.url.replace('http://', '');

async function send(target: string, { method = 'GET', lines = [] as string[], host = '' } = {}): Promise<number> {
  const own = new URL(party.postern.publicUrl).host;
  const head = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host === '' ? own : host}`,
    `Cookie: ${cookie}`,
    'Sec-Fetch-Site: same-origin',
    'Connection: close',
    ...lines,
  ];
  const { answers } = await exchange(party.postern.address, Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'));
  expect(answers).toHaveLength(1);
  return answers[0]!.status;
}

/** Whatever the answer was: nothing reached a stranger, and no token left the one route that has one. */
function expectNoStray(): void {
  expect([evil.connections, evil.received]).toEqual([0, '']);
  for (const { headers } of catalog.requests) expect(headers.authorization).toBeUndefined();
  for (const { headers, target } of orders.requests) {
    expect([headers.authorization, headers.host]).toEqual([bearer, orders.authority]);
    expect(target).toMatch(/^\/api(?!\/catalog)(\/|\?|$)/);
  }
}

describe('nothing in a request changes where its token goes (TK-16, BFF-12)', () => {
  const targets: ((e: string) => string)[] = [
    (e) => `http://${e}/api/x`,
    (e) => `http://${e}`,
    (e) => `//${e}/api/x`,
    (e) => `///${e}/api/x`,
    (e) => `/\\${e}/api/x`,
    (e) => `\\\\${e}\\api`,
    (e) => `/api/http://${e}/`,
    (e) => `/api/@${e}/`,
    (e) => `/api@${e}/`,
    (e) => `@${e}/api`,
    (e) => `:80@${e}/api`,
    (e) => `/api/x@${e}:80/y`,
    (e) => `/api//${e}/x`,
    (e) => `/api/%2f%2f${e}`,
    (e) => `/api/..//${e}/`,
    (e) => `/api/%2e%2e/%2f${e}/`,
    (e) => `/api/;@${e}/`,
    (e) => `/api/x?url=http://${e}/&host=${e}`,
    (e) => `/api/x#@${e}/`,
    (e) => `/api?@${e}/`,
    (e) => `/api%00.${e}/`,
    (e) => `/api/%0d%0aHost:%20${e}`,
    (e) => `/api/catalog/../x?${e}`,
    () => '/api/catalog/x',
    () => '/api/catalog;/x',
    () => '/API/x',
    () => '/open/../api/x',
    () => '/open/x',
    () => '/',
    (e) => `http:/${e}/api`,
    (e) => `?@${e}`,
    () => '*',
  ];

  test.each(targets.map((target) => [target('EVIL')]))('the target %s', async (template) => {
    for (const method of ['GET', 'POST', 'OPTIONS', 'HEAD']) {
      await send(template.replaceAll('EVIL', authority()), {
        method,
        lines: method === 'POST' ? ['Content-Length: 0'] : [],
      });
    }
    expectNoStray();
  });

  test.each([
    'X-Forwarded-Host',
    'X-Forwarded-Server',
    'X-Forwarded-For',
    'Forwarded',
    'X-Original-URL',
    'X-Original-Host',
    'X-Rewrite-URL',
    'X-HTTP-Host-Override',
    'X-Host',
    'X-Real-IP',
    'X-Envoy-Original-Path',
    'Destination',
    'Location',
    'Referer',
    'Via',
    'Proxy-Connection',
    'Base-Url',
  ])('the header %s', async (name) => {
    for (const value of [authority(), `http://${authority()}/api/x`, `host=${authority()};for=${authority()}`]) {
      expect([value, await send('/api/x', { lines: [`${name}: ${value}`] })]).toEqual([value, 200]);
    }
    expect(orders.requests).toHaveLength(3);
    expectNoStray();
  });

  test('the Host header: it is refused, however it mixes the two names', async () => {
    const own = new URL(party.postern.publicUrl).host;
    for (const host of [authority(), `${authority()}@${own}`, `${own}@${authority()}`, `${own},${authority()}`]) {
      expect([host, await send('/api/x', { host })]).toEqual([host, 421]);
    }
    expect(await send('/api/x', { lines: [`Host: ${authority()}`] })).toBe(421);
    expect(orders.requests).toEqual([]);
    expectNoStray();
  });

  test('CONNECT and upgrades open no tunnel', async () => {
    expect(await send(authority(), { method: 'CONNECT' })).toBe(405);
    const targets = { '/api/x': 404, [`http://${authority()}/`]: 400, [`//${authority()}/`]: 400 };
    for (const [target, status] of Object.entries(targets)) {
      const handshake = [
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ];
      for (const connection of ['Upgrade', 'keep-alive, Upgrade']) {
        expect(await send(target, { lines: [...handshake, `Connection: ${connection}`] })).toBe(status);
      }
      expect(await send(target, { lines: handshake })).toBe(400);
    }
    expectNoStray();
  });

  test('a redirect of the upstream is for the browser to follow, without the token (BFF-16)', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      orders.answer = (_request, response) => response.writeHead(status, { location: `${evil.url}/` }).end();
      expect(await send('/api/x')).toBe(status);
    }
    orders.reset();
    expectNoStray();
  });
});
