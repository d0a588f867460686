// WebSockets over real sockets: what gets through, how they end, and that nothing stays behind (RFC 6455).
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { accessToken, startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { valuesOf } from '../support/raw-client.ts';
import { Client, handshakeBytes, maskedText, openSocket, refusedHandshake } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { until } from '../support/until.ts';
import { acceptFor, frame, readFrame } from '../support/websocket-frame.ts';

let upstream: SocketUpstream;
let gate: Gate;
let cookie: string;

beforeAll(async () => {
  upstream = await SocketUpstream.start();
  gate = await startGate({
    routes: [
      { path: '/ws', upstream: `${upstream.url}/base`, stripPath: true, websocket: true },
      { path: '/open', upstream: upstream.url, auth: 'none', websocket: true },
      { path: '/maybe', upstream: upstream.url, auth: 'optional', websocket: true },
      { path: '/cookies', upstream: upstream.url, websocket: true, cookies: { request: ['a'], response: ['theme'] } },
      { path: '/quiet', upstream: upstream.url, websocket: true, activity: false },
      { path: '/brief', upstream: upstream.url, websocket: { idleTimeout: '1s', maxAge: '1m' } },
      { path: '/ageing', upstream: upstream.url, websocket: { idleTimeout: '1m', maxAge: '1s' } },
    ],
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

  test('a drain closes every socket with 1012 and takes no more', async () => {
    const own = await startGate({ routes: [{ path: '/open', upstream: upstream.url, auth: 'none', websocket: true }] });
    const clients = await Promise.all(Array.from({ length: 5 }, () => openSocket(own, '/open')));
    const drained = own.stop();
    for (const client of clients) expect(await client.ended()).toMatchObject({ code: 1012, reason: 'draining' });
    await drained;
  });
});

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
