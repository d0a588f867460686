// WebSocket handshakes that come to nothing: refused here, refused by the upstream, or broken off. No socket is left of them (RFC 6455, OWASP ASVS 5.0 V4.4).
import type { Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { connect, exchange, valuesOf } from '../support/raw-client.ts';
import { Client, handshakeBytes, openSocket, refusedHandshake } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { until } from '../support/until.ts';
import { HostileUpstream } from '../support/upstream.ts';
import { acceptFor } from '../support/websocket-frame.ts';

let upstream: SocketUpstream;
let gate: Gate;
let cookie: string;

beforeAll(async () => {
  upstream = await SocketUpstream.start();
  gate = await startGate({
    routes: [
      { path: '/ws', upstream: `${upstream.url}/base`, stripPath: true, websocket: true },
      { path: '/plain', upstream: upstream.url },
      { path: '/open', upstream: upstream.url, auth: 'none', websocket: true },
      { path: '/post', upstream: upstream.url, websocket: true, methods: ['POST'] },
      { path: '/slow', upstream: upstream.url, websocket: true, timeout: { headers: '1s' } },
      { path: '/nobody', upstream: 'http://127.0.0.1:9', websocket: true },
    ],
    limits: { websocketsPerSession: 3, websockets: 8 },
  });
  cookie = await gate.signIn();
});
afterAll(async () => {
  await gate.stop();
  await upstream.stop();
});
beforeEach(async () => {
  await upstream.reset();
  await until(async () => (await gate.metric('postern_websockets ')).includes('postern_websockets 0'));
});

describe('what is refused, before the upstream hears of it, and the connection closed', () => {
  test.each([
    ['another site', { Origin: 'https://evil.example' }, 403, 'csrf_rejected'],
    ['no Origin', { Origin: undefined }, 403, 'csrf_rejected'],
    ['the opaque Origin', { Origin: 'null' }, 403, 'csrf_rejected'],
    ['a sibling subdomain', { 'Sec-Fetch-Site': 'same-site' }, 403, 'csrf_rejected'],
    ['a typed address', { 'Sec-Fetch-Site': 'none' }, 403, 'csrf_rejected'],
    ['an old version', { 'Sec-WebSocket-Version': '8' }, 426, 'upgrade_required'],
    ['no version', { 'Sec-WebSocket-Version': undefined }, 426, 'upgrade_required'],
    ['no key', { 'Sec-WebSocket-Key': undefined }, 400, 'bad_request'],
    ['a key that is none', { 'Sec-WebSocket-Key': 'eDM=' }, 400, 'bad_request'],
    ['another protocol', { Upgrade: 'h2c' }, 400, 'bad_request'],
    ['two protocols', { Upgrade: 'websocket, h2c' }, 400, 'bad_request'],
    ['a body', { 'Content-Length': '5' }, 400, 'bad_request'],
    ['a chunked body', { 'Transfer-Encoding': 'chunked' }, 400, 'bad_request'],
    ['another host', { Host: 'evil.example' }, 421, 'misdirected'],
  ])('%s (WS-01, WS-03, PX-14)', async (_name, fields, status, code) => {
    for (const path of ['/ws', '/open']) {
      const answer = await refusedHandshake(gate, path, { Cookie: cookie, ...fields });
      expect([answer.status, answer.code]).toEqual([status, code]);
      expect(valuesOf(answer, 'connection').join()).toContain('close');
    }
    expect(upstream.handshakes).toEqual([]);
  });

  test.each([
    ['a path outside all routes', '/nowhere', 404, 'no_route'],
    ['an endpoint of ours', '/bff/session', 404, 'no_route'],
    ['a route without WebSockets', '/plain', 404, 'no_route'],
    ['a route that takes no GET', '/post', 405, 'method_not_allowed'],
    ['a path with a second reading (RT-13)', '/ws/../open', 400, 'bad_request'],
    ['an absolute address (RT-13)', 'http://127.0.0.1/ws', 400, 'bad_request'],
    ['an authority (RT-13)', '//127.0.0.1/ws', 400, 'bad_request'],
  ])('%s', async (_name, path, status, code) => {
    const answer = await refusedHandshake(gate, path, { Cookie: cookie });
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(upstream.handshakes).toEqual([]);
  });

  test('no session, and one that has ended', async () => {
    expect(await refusedHandshake(gate, '/ws')).toMatchObject({ status: 401, code: 'session_required' });
    const old = await gate.signIn();
    await gate.signOut(old);
    expect(await refusedHandshake(gate, '/ws', { Cookie: old })).toMatchObject({
      status: 401,
      code: 'session_expired',
    });
    expect(upstream.handshakes).toEqual([]);
  });

  test('everybody with a cookie while the store is away: 503, and the same cookie works again afterwards', async () => {
    gate.setStoreDown(true);
    const answer = await refusedHandshake(gate, '/ws', { Cookie: cookie });
    gate.setStoreDown(false);
    expect([answer.status, answer.code]).toEqual([503, 'session_store_unavailable']);
    const client = await openSocket(gate, '/ws', { Cookie: cookie });
    client.close();
  });

  test('a handshake behind a call that is not answered yet: nothing is written into that answer', async () => {
    const [first] = handshakeBytes(gate, '/ws').split('\r\n');
    expect(first).toBe('GET /ws HTTP/1.1');
    const call = `GET /plain HTTP/1.1\r\nHost: ${gate.host}\r\nCookie: ${cookie}\r\nSec-Fetch-Site: same-origin\r\n\r\n`;
    const { answers } = await exchange(gate.address, call + handshakeBytes(gate, '/ws', { Cookie: cookie }));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(upstream.handshakes).toEqual([]);
  });

  test('more sockets than a session, or the process, may have (PX-13)', async () => {
    const [mine, others] = [await gate.signIn(), await gate.signIn()];
    const open = (owner: string | undefined, path = '/ws') =>
      openSocket(gate, path, owner === undefined ? {} : { Cookie: owner });
    const first = await Promise.all([open(mine), open(mine), open(mine)]);
    expect(await refusedHandshake(gate, '/ws', { Cookie: mine })).toMatchObject({ status: 429, code: 'rate_limited' });
    first[0].close();
    await first[0].ended();
    await until(async () => (await gate.metric('postern_websockets '))[0] === 'postern_websockets 2');
    const rest = await Promise.all([
      open(mine),
      open(others),
      ...Array.from({ length: 4 }, () => open(undefined, '/open')),
    ]);
    const answer = await refusedHandshake(gate, '/open');
    expect([answer.status, answer.code, valuesOf(answer, 'retry-after')]).toEqual([503, 'overloaded', ['5']]);
    for (const client of [...first, ...rest]) client.close();
  });
});

describe('an upstream that does not agree', () => {
  test('a refusal passes with its body, without its powers, and the connection closes (PX-14)', async () => {
    upstream.answer = (_request, socket) =>
      socket.end(
        [
          'HTTP/1.1 403 Forbidden',
          'Content-Type: application/json',
          `Set-Cookie: ${gate.cookieName}=stolen`,
          'Clear-Site-Data: "*"',
          'WWW-Authenticate: Basic',
          'Transfer-Encoding: chunked',
          '',
          '5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n',
        ].join('\r\n'),
      );
    const answer = await refusedHandshake(gate, '/ws', { Cookie: cookie });
    expect([answer.status, answer.body]).toEqual([403, '{"a":1}']);
    const names = answer.headers.map(([name]) => name);
    for (const name of ['set-cookie', 'clear-site-data', 'www-authenticate']) expect(names).not.toContain(name);
    expect(valuesOf(answer, 'x-content-type-options')).toEqual(['nosniff']);
    expect(valuesOf(answer, 'connection')).toEqual(['close']);
  });

  test.each([
    [
      'that answers another handshake',
      (key: string | undefined) => ['Upgrade: websocket', `Sec-WebSocket-Accept: ${acceptFor(`${key}x`)}`],
    ],
    [
      'that changes to another protocol',
      (key: string | undefined) => ['Upgrade: h2c', `Sec-WebSocket-Accept: ${acceptFor(key)}`],
    ],
    ['that says nothing', () => ['Upgrade: websocket']],
  ])('a 101 %s opens no tunnel', async (_name, linesFor) => {
    upstream.answer = (request, socket) => {
      const lines = linesFor(request.headers['sec-websocket-key']);
      socket.write(['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', ...lines, '', 'LEAK'].join('\r\n'));
    };
    const { answers, text } = await exchange(gate.address, handshakeBytes(gate, '/ws', { Cookie: cookie }));
    expect(answers.map(({ status }) => status)).toEqual([502]);
    expect(text).not.toContain('LEAK');
    expect(text).not.toContain('HTTP/1.1 101');
    await until(() => upstream.connections === 0);
  });

  test('nobody there, a reset, and no HTTP: 502; silence: 504 (PX-08)', async () => {
    expect(await refusedHandshake(gate, '/nobody', { Cookie: cookie })).toMatchObject({
      status: 502,
      code: 'upstream_unreachable',
    });
    upstream.answer = (_request, socket) => socket.destroy();
    expect(await refusedHandshake(gate, '/ws', { Cookie: cookie })).toMatchObject({ code: 'upstream_unreachable' });
    upstream.answer = (_request, socket) => socket.end('HTTP/1.1 abc\r\n\r\n');
    expect(await refusedHandshake(gate, '/ws', { Cookie: cookie })).toMatchObject({ code: 'upstream_invalid' });
    upstream.answer = () => undefined;
    expect(await refusedHandshake(gate, '/slow', { Cookie: cookie })).toMatchObject({
      status: 504,
      code: 'upstream_timeout',
    });
    await until(() => upstream.connections === 0);
  });

  test.each([
    ['in good order', (socket: Socket) => socket.end()],
    ['with a reset', (socket: Socket) => socket.resetAndDestroy()],
  ])(
    'a client that leaves during the handshake, %s, takes the upstream’s connection along (PX-09)',
    async (_how, leave) => {
      upstream.answer = () => undefined;
      const socket = connect(gate.address);
      socket.on('error', () => undefined);
      socket.write(handshakeBytes(gate, '/ws', { Cookie: cookie }));
      await until(() => upstream.handshakes.length === 1);
      leave(socket);
      await until(() => upstream.connections === 0);
      socket.destroy();
    },
  );
});

test('a thousand refused handshakes leave no socket, however long their heads are (DL-08)', async () => {
  const kinds = [
    { Origin: 'https://evil.example' },
    { Upgrade: 'h2c' },
    { 'Sec-WebSocket-Protocol': `b${' '.repeat(8_000)}`, Origin: undefined },
    Object.fromEntries(Array.from({ length: 2_100 }, (_, at) => [`X-${at}`, '1'])),
    {},
  ];
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(Array.from({ length: 50 }, (_, at) => refusedHandshake(gate, '/ws', kinds[at % kinds.length])));
  }
  expect(upstream.handshakes).toEqual([]);
  await until(() => socketsOfThisProcess() <= 8);
});

test('a hostile upstream that resets, dribbles or talks out of turn never takes the process down (PX-08)', async () => {
  const reactions: ((socket: Socket) => void)[] = [
    (socket) => socket.resetAndDestroy(),
    (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: web'),
    (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort'),
    (socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'),
    (socket) => socket.end(Buffer.alloc(100_000)),
  ];
  let turn = 0;
  const hostile = await HostileUpstream.start((socket) => reactions[turn++ % reactions.length]!(socket));
  const own = await startGate({
    routes: [{ path: '/open', upstream: hostile.url, auth: 'none', websocket: true, timeout: { headers: '1s' } }],
  });
  for (let round = 0; round < reactions.length; round += 1) {
    const client = new Client(own, handshakeBytes(own, '/open'));
    await client.ended();
    expect(client.answer.status).not.toBe(101);
  }
  await own.stop();
  await hostile.stop();
});

function socketsOfThisProcess(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
}
