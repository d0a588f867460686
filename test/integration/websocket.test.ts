// WebSockets over real sockets: who gets through, what gets through, and that nothing stays behind (RFC 6455, OWASP ASVS 5.0 V4.4).
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { accessToken, startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { connect, exchange, valuesOf } from '../support/raw-client.ts';
import { Client, handshakeBytes, maskedText, openSocket, refusedHandshake } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { acceptFor, frame, readFrame } from '../support/websocket-frame.ts';
import { until } from '../support/until.ts';
import { HostileUpstream } from '../support/upstream.ts';

let upstream: SocketUpstream;
let gate: Gate;
let cookie: string;
const stopped: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  upstream = await SocketUpstream.start();
  gate = await startGate({
    routes: [
      { path: '/ws', upstream: `${upstream.url}/base`, stripPath: true, websocket: true },
      { path: '/plain', upstream: upstream.url },
      { path: '/open', upstream: upstream.url, auth: 'none', websocket: true },
      { path: '/maybe', upstream: upstream.url, auth: 'optional', websocket: true },
      { path: '/cookies', upstream: upstream.url, websocket: true, cookies: { request: ['a'], response: ['theme'] } },
      { path: '/quiet', upstream: upstream.url, websocket: true, activity: false },
      { path: '/brief', upstream: upstream.url, websocket: { idleTimeout: '1s', maxAge: '1m' } },
      { path: '/ageing', upstream: upstream.url, websocket: { idleTimeout: '1m', maxAge: '1s' } },
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
afterEach(async () => {
  for (const one of stopped.splice(0)) await one.stop();
});

describe('what passes', () => {
  test('texts both ways, with the token, the path and the address of the client, and without the cookie (WS-02)', async () => {
    const client = await openSocket(gate, '/ws/room?id=1', { Cookie: cookie, Authorization: 'Basic x' });
    client.send('hello');
    expect(await client.heard(1)).toEqual(['echo hello']);
    const { url, headers } = upstream.last.request;
    expect(url).toBe('/base/room?id=1');
    expect(headers).toMatchObject({
      authorization: `Bearer ${accessToken}`,
      host: new URL(upstream.url).host,
      'x-forwarded-for': '127.0.0.1',
      connection: 'Upgrade',
      upgrade: 'websocket',
    });
    expect(headers.cookie).toBeUndefined();
    client.close(1000);
    expect(await client.ended()).toMatchObject({ code: 1000 });
    await until(() => upstream.connections === 0);
  });

  test('what the upstream sends in one breath with its 101 (WS-02)', async () => {
    for (let time = 0; time < 20; time += 1) {
      upstream.answer = ({ headers }, socket) => {
        const accept = `Sec-WebSocket-Accept: ${acceptFor(headers['sec-websocket-key'])}`;
        const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', accept];
        socket.write(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), frame(0x81, Buffer.from('hello'))]));
      };
      const client = await openSocket(gate, '/ws', { Cookie: cookie });
      expect(await client.heard(1)).toEqual(['hello']);
      client.socket.destroy();
      await client.ended();
    }
  });

  test('subprotocols and extensions as they are agreed on, and not into the log', async () => {
    upstream.lines = ['Sec-WebSocket-Extensions: permessage-deflate'];
    const { answer, socket } = await openSocket(gate, '/ws', {
      Cookie: cookie,
      'Sec-WebSocket-Protocol': 'bearer.SECRETCANARY, chat',
      'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
    });
    expect(valuesOf(answer, 'sec-websocket-protocol')).toEqual(['bearer.SECRETCANARY']);
    expect(valuesOf(answer, 'sec-websocket-extensions')).toEqual(['permessage-deflate']);
    expect(upstream.handshakes[0]?.headers['sec-websocket-extensions']).toBe(
      'permessage-deflate; client_max_window_bits',
    );
    socket.destroy();
    await until(() => gate.log.some((line) => line.includes('"path":"/ws"') && line.includes('"status":101')));
    expect(gate.log.join('')).not.toContain('SECRETCANARY');
  });

  test('bytes that come with the handshake, and megabytes in both directions, arrive as they were sent', async () => {
    const head = Buffer.from(handshakeBytes(gate, '/ws', { Cookie: cookie }));
    const early = new Client(gate, Buffer.concat([head, maskedText('early')]));
    expect(await early.heard(1)).toEqual(['echo early']);
    early.close();
    const client = await openSocket(gate, '/ws', { Cookie: cookie });
    const large = 'ä'.repeat(2_000_000);
    client.send(large);
    expect((await client.heard(1))[0]).toBe(`echo ${large}`);
    client.close();
  });

  test('an anonymous visitor where the route lets one, without a token', async () => {
    for (const path of ['/open', '/maybe']) {
      const client = await openSocket(gate, path);
      expect(upstream.last.request.headers.authorization).toBeUndefined();
      client.close();
      await client.ended();
    }
  });

  test('only the cookies of the route’s lists, and of the answer’s fields nothing that is not the handshake’s', async () => {
    upstream.lines = [
      ...['Set-Cookie: theme=dark; Domain=example.com', `Set-Cookie: ${gate.cookieName}=stolen`, 'Set-Cookie: other=1'],
      ...['Clear-Site-Data: "*"', 'Server: secret/1', 'Strict-Transport-Security: max-age=1', 'X-Other: 1'],
    ];
    const { answer, socket } = await openSocket(gate, '/cookies', { Cookie: `${cookie}; a=1; b=2` });
    expect(upstream.last.request.headers.cookie).toBe('a=1');
    expect(valuesOf(answer, 'set-cookie')).toEqual(['theme=dark']);
    expect(answer.headers.map(([name]) => name).sort()).toEqual([
      'connection',
      'sec-websocket-accept',
      'set-cookie',
      'upgrade',
    ]);
    socket.destroy();
  });
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
    expect(text).not.toContain('101');
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

describe('the end', () => {
  test('a logout closes the sockets of its session with 4401, and the upstream’s at once (CS-13, WS-02)', async () => {
    const mine = await gate.signIn();
    const [client, other] = [
      await openSocket(gate, '/ws', { Cookie: mine }),
      await openSocket(gate, '/ws', { Cookie: cookie }),
    ];
    const peer = upstream.sockets[0]!;
    await gate.signOut(mine);
    expect(await client.ended()).toMatchObject({ code: 4401, reason: 'logout' });
    await until(() => peer.isGone);
    other.send('still here');
    expect(await other.heard(1)).toEqual(['echo still here']);
    other.close();
  });

  test('a logout during the handshake ends the handshake', async () => {
    const mine = await gate.signIn();
    upstream.answer = () => undefined;
    const answer = refusedHandshake(gate, '/ws', { Cookie: mine });
    await until(() => upstream.handshakes.length === 1);
    await gate.signOut(mine);
    expect(await answer).toMatchObject({ status: 401, code: 'session_expired' });
    await until(() => upstream.connections === 0);
  });

  test('no Close frame is put into a frame that is half sent: the connection is cut', async () => {
    const mine = await gate.signIn();
    const client = await openSocket(gate, '/ws', { Cookie: mine });
    upstream.last.send('whole');
    upstream.last.socket.write(frame(0x82, Buffer.alloc(1_000)).subarray(0, 500));
    await until(() => client.bytes.length === 7 + 500);
    await gate.signOut(mine);
    await client.ended();
    expect(client.bytes).toHaveLength(7 + 500);
  });

  test('a Close frame of ours stands behind the last whole frame', async () => {
    const mine = await gate.signIn();
    const client = await openSocket(gate, '/ws', { Cookie: mine });
    const large = Buffer.alloc(200_000, 'x');
    upstream.last.socket.write(frame(0x82, large));
    await until(() => client.bytes.length === large.length + 10);
    await gate.signOut(mine);
    await client.ended();
    const first = readFrame(client.bytes)!;
    expect(readFrame(client.bytes.subarray(first.size))).toMatchObject({
      opcode: 8,
      payload: Buffer.concat([Buffer.from([0x11, 0x31]), Buffer.from('logout')]),
    });
  });

  test('a client that answers nothing is cut all the same', async () => {
    const mine = await gate.signIn();
    const { socket } = await openSocket(gate, '/ws', { Cookie: mine });
    socket.pause();
    await gate.signOut(mine);
    await until(async () => (await gate.metric('postern_websockets '))[0] === 'postern_websockets 0');
    socket.destroy();
  });

  test('whoever ends first, the other side ends too, and it is counted who that was', async () => {
    const client = await openSocket(gate, '/ws', { Cookie: cookie });
    upstream.last.close(4000);
    expect(await client.ended()).toMatchObject({ code: 4000 });
    const cut = await openSocket(gate, '/ws', { Cookie: cookie });
    upstream.last.socket.resetAndDestroy();
    expect(await cut.ended()).toMatchObject({ code: 1006 });
    const left = await openSocket(gate, '/ws', { Cookie: cookie });
    left.close();
    await left.ended();
    const { socket } = await openSocket(gate, '/ws', { Cookie: cookie });
    socket.resetAndDestroy();
    await until(() => upstream.connections === 0);
    const lines = await gate.metric('postern_websocket_closes_total');
    expect(lines.some((line) => line.includes('reason="upstream"'))).toBe(true);
    expect(lines.some((line) => line.includes('reason="client"'))).toBe(true);
  });

  test('nothing said for the route’s idle time: 1001; older than its age: 1012, however busy (PX-13)', async () => {
    const idle = await openSocket(gate, '/brief', { Cookie: cookie });
    expect(await idle.ended()).toMatchObject({ code: 1001, reason: 'idle-timeout' });
    const busy = await openSocket(gate, '/ageing', { Cookie: cookie });
    const talk = setInterval(() => busy.send('x'), 200);
    expect(await busy.ended()).toMatchObject({ code: 1012, reason: 'max-age' });
    clearInterval(talk);
  });
});

describe('telemetry', () => {
  test('a line of the log at the end, with who ended it; a refusal with its code', async () => {
    const client = await openSocket(gate, '/open/line');
    client.close();
    await client.ended();
    await refusedHandshake(gate, '/open/refused', { Origin: 'https://evil.example' });
    const lineOf = (path: string) =>
      gate.log.map((line) => JSON.parse(line) as Record<string, unknown>).find((line) => line['path'] === path);
    await until(() => lineOf('/open/line') !== undefined && lineOf('/open/refused') !== undefined);
    expect(lineOf('/open/line')).toMatchObject({ msg: 'request', route: '/open', status: 101, closedBy: 'client' });
    expect(lineOf('/open/refused')).toMatchObject({ status: 403, code: 'csrf_rejected', completed: true });
    expect(await gate.metric('postern_websocket_refusals_total{code="csrf_rejected"}')).not.toEqual([]);
  });
});

describe('activity', () => {
  test('no store command for a fresh session, whatever the client sends', async () => {
    const mine = await gate.signIn();
    const before = gate.slides();
    for (const path of ['/ws', '/quiet']) {
      const client = await openSocket(gate, path, { Cookie: mine });
      client.send('x');
      await client.heard(1);
      client.close();
      await client.ended();
    }
    expect(gate.slides()).toBe(before);
  });
});

describe('many', () => {
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

  test('a drain closes every socket with 1012 and takes no more', async () => {
    const own = await startGate({ routes: [{ path: '/open', upstream: upstream.url, auth: 'none', websocket: true }] });
    const clients = await Promise.all(Array.from({ length: 5 }, () => openSocket(own, '/open')));
    const drained = own.stop();
    for (const client of clients) expect(await client.ended()).toMatchObject({ code: 1012, reason: 'draining' });
    await drained;
  });
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
  stopped.push(hostile);
  const own = await startGate({
    routes: [{ path: '/open', upstream: hostile.url, auth: 'none', websocket: true, timeout: { headers: '1s' } }],
  });
  stopped.unshift(own);
  for (let round = 0; round < reactions.length; round += 1) {
    const client = new Client(own, handshakeBytes(own, '/open'));
    await client.ended();
    expect(client.answer.status).not.toBe(101);
  }
});

function socketsOfThisProcess(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
}
