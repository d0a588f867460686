// A WebSocket handshake is a request like any other: what a client must not say in a call, it must not say here either (raw sockets).
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { accessToken, startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { exchange, parseAnswers } from '../support/raw-client.ts';
import { Client, handshakeBytes } from '../support/socket-client.ts';
import type { HandshakeFields } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { until } from '../support/until.ts';
import { HostileUpstream } from '../support/upstream.ts';

let upstream: SocketUpstream;
/** Listens for anything at all: not one connection may arrive. */
let evil: HostileUpstream;
let gate: Gate;
let cookie: string;

beforeAll(async () => {
  [upstream, evil] = await Promise.all([SocketUpstream.start(), HostileUpstream.start((socket) => socket.end())]);
  const claims = { 'X-User-Id': 'sub', 'X-Roles': 'roles' };
  gate = await startGate({
    routes: [
      { path: '/ws', upstream: upstream.url, websocket: true, headers: { claims } },
      { path: '/open', upstream: upstream.url, auth: 'none', websocket: true },
      { path: '/v1', upstream: upstream.url, websocket: true, rewrite: '/v2' },
      { path: '/bare', upstream: upstream.url, websocket: true, token: 'none' },
    ],
  });
  cookie = await gate.signIn({ roles: ['user'] });
});
afterAll(async () => {
  await gate.stop();
  await Promise.all([upstream.stop(), evil.stop()]);
});
beforeEach(() => upstream.reset());

const authority = (): string => evil.url.replace('http://', '');

/** A handshake with these header lines on top, in the order given; resolves when it is decided. */
async function shake(lines: string[], path = '/ws', fields: HandshakeFields = {}): Promise<number> {
  const bytes = handshakeBytes(gate, path, { Cookie: cookie, ...fields });
  const client = new Client(
    gate,
    Buffer.from(bytes.replace('\r\n\r\n', `\r\n${lines.join('\r\n')}\r\n\r\n`), 'latin1'),
  );
  await until(() => client.answer.status > 0 || client.isGone);
  client.socket.destroy();
  return client.answer.status;
}

/** What the upstream received under a name, in any spelling. */
function received(name: string): string[] {
  const { rawHeaders } = upstream.handshakes.at(-1)!;
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]!.toLowerCase() === name);
}
const everything = (): string => upstream.handshakes.at(-1)!.rawHeaders.join('\n');

describe('what goes upstream with a handshake', () => {
  test.each([
    [['Authorization: Bearer evil', 'AUTHORIZATION: Basic evil', 'Authorization_: evil']],
    [['Proxy-Authorization: Basic evil', 'DPoP: evil']],
    [['Connection: authorization, x-user-id, x-forwarded-for, host, sec-websocket-key']],
    [['Expect: 100-continue']],
  ])('one Authorization, and it is ours: %j (HD-06, HD-03, HD-04, PRX-02, PRX-03)', async (lines) => {
    // A second Connection line: the list is that of both.
    expect([101, 417]).toContain(await shake(lines));
    expect(received('authorization')).toEqual([`Bearer ${accessToken}`]);
    expect(received('x-user-id')).toEqual(['alice']);
    expect(received('x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(received('connection')).toEqual(['Upgrade']);
    expect(everything()).not.toMatch(/evil/i);
  });

  test('no word of the client about who it is, in any spelling (HD-01, HD-02, PRX-05, PRX-06)', async () => {
    const names = ['X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-User', 'X-Real-IP', 'Forwarded', 'X-Request-Id'];
    const claims = ['X-User-Id', 'X-Roles'];
    const spelled = [...names, ...claims].flatMap((name) => [name, name.toUpperCase(), name.replaceAll('-', '_')]);
    expect(await shake(spelled.map((name) => `${name}: evil`))).toBe(101);
    expect(everything()).not.toContain('evil');
    expect([received('x-user-id'), received('x-roles')]).toEqual([['alice'], ['user']]);
    expect(
      await shake(
        claims.map((name) => `${name}: evil`),
        '/open',
      ),
    ).toBe(101);
    expect([received('x-user-id'), received('x-roles')]).toEqual([[], []]);
  });

  test('none of our cookies, and no token where the route sends none (HD-05, PRX-04, BFF-15)', async () => {
    expect(await shake([`Cookie: ${gate.cookieName}-tx-1=x; theme=dark`])).toBe(101);
    expect(received('cookie')).toEqual([]);
    expect(await shake([], '/bare')).toBe(101);
    expect(received('authorization')).toEqual([]);
    expect(await shake([`Cookie: ${cookie}`])).toBe(401);
    expect(upstream.handshakes).toHaveLength(2);
  });

  test('no hop-by-hop field but the handshake’s own, each once (PRX-01)', async () => {
    const lines = [
      'Keep-Alive: timeout=1',
      'TE: trailers',
      'Trailer: x',
      'Proxy-Connection: x',
      'HTTP2-Settings: AAMA',
    ];
    expect(await shake([...lines, 'Connection: HTTP2-Settings, x-hop', 'X-Hop: 1'])).toBe(101);
    for (const name of ['keep-alive', 'te', 'trailer', 'proxy-connection', 'http2-settings', 'x-hop']) {
      expect([name, received(name)]).toEqual([name, []]);
    }
    for (const name of ['upgrade', 'connection', 'host', 'sec-websocket-key', 'sec-websocket-version', 'via']) {
      expect([name, received(name).length]).toEqual([name, 1]);
    }
  });
});

describe('where a handshake goes', () => {
  test.each([
    'http://EVIL/ws',
    '//EVIL/ws',
    '/\\EVIL/ws',
    '/ws/@EVIL/',
    '/ws/http://EVIL/',
    '/ws/../open',
    '/ws/%2e%2e/open',
    '/v1/../ws',
    '/v1/..;/ws',
    '/v1/%2e%2e/x',
    '/v1/x#@EVIL',
    '/v1?@EVIL',
    '/WS',
    '/ws%00',
    '*',
  ])(
    '%s: nowhere, or to the route’s own upstream under the route’s own path (RT-13, BFF-12, TK-16)',
    async (template) => {
      const status = await shake([], template.replaceAll('EVIL', authority()));
      expect([101, 400, 404]).toContain(status);
      expect([evil.connections, upstream.handshakes.length]).toEqual([0, status === 101 ? 1 : 0]);
      for (const { url } of upstream.handshakes) expect(url).toMatch(/^\/(ws|v2)(\/|\?|$)/);
    },
  );

  test.each(['X-Forwarded-Host', 'X-Original-URL', 'X-Rewrite-URL', 'X-Host', 'Forwarded', 'Location'])(
    'the header %s changes nothing about it (BFF-12, TK-16)',
    async (name) => {
      expect(await shake([`${name}: http://${authority()}/ws`])).toBe(101);
      expect([evil.connections, upstream.handshakes.at(-1)?.url]).toEqual([0, '/ws']);
    },
  );

  test.each([['X-Y: 1\r\nHost: EVIL'], ['Host: EVIL']])(
    'a second Host is refused: %j (PRX-10, RT-07)',
    async (line) => {
      expect(await shake([line.replace('EVIL', authority())])).toBe(421);
      expect([evil.connections, upstream.handshakes.length]).toEqual([0, 0]);
    },
  );
});

test.each([
  ['a length of nothing twice', ['Content-Length: 0', 'Content-Length: 0']],
  ['a length and chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
  ['a folded upgrade', ['X: y', ' Upgrade: h2c']],
  ['two upgrades', ['Upgrade: h2c']],
  ['a NUL', ['X: a\0b']],
  ['an old protocol', []],
])(
  'a handshake with %s opens nothing, and what comes behind it is not served (WS-03, PRX-08, PX-14)',
  async (what, lines) => {
    const behind = `GET /open/smuggled HTTP/1.1\r\nHost: ${gate.host}\r\n\r\n`;
    const bytes = handshakeBytes(gate, '/ws', { Cookie: cookie }).replace(
      '\r\n\r\n',
      `\r\n${lines.join('\r\n')}\r\n\r\n`,
    );
    const head =
      what === 'an old protocol' ? bytes.replace('HTTP/1.1', 'HTTP/1.0').replace('\r\n\r\n\r\n', '\r\n\r\n') : bytes;
    const { text } = await exchange(gate.address, Buffer.from(head + behind + behind, 'latin1'));
    expect(parseAnswers(text).map(({ status }) => status)).toEqual([400]);
    expect(upstream.handshakes).toEqual([]);
    expect(upstream.connections).toBe(0);
  },
);
