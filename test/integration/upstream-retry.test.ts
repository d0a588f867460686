// An upstream closes an idle connection at the moment in which it is used again: what is safe to send twice is sent twice, and nothing else.
import { once } from 'node:events';
import net from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import tls from 'node:tls';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { makeCertificate } from '../support/certificate.ts';
import { createCaller } from '../support/gate-call.ts';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';

const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

/** Writes what a connection gets for its n-th request, n from 1. */
type React = (socket: Socket, nth: number) => void;

interface Upstream {
  url: string;
  /** The number of the request on its connection, for each request so far. */
  heard: number[];
  react: React;
  stop(): Promise<void>;
}

async function startUpstream(certificate?: { key: string; cert: string }): Promise<Upstream> {
  const sockets = new Set<Socket>();
  const upstream = { heard: [] as number[], react: (() => undefined) as React };
  const serve = (socket: Socket): void => {
    let nth = 0;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => {
      nth += 1;
      upstream.heard.push(nth);
      upstream.react(socket, nth);
    });
  };
  const server = certificate === undefined ? net.createServer(serve) : tls.createServer(certificate, serve);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return Object.assign(upstream, {
    url: certificate === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await once(server.close(), 'close');
    },
  });
}

let directory: string;
let plain: Upstream;
let secure: Upstream;
let restarting: Upstream;
let gate: Gate;
const { call } = createCaller(() => gate);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-retry-'));
  const certificate = makeCertificate(['localhost']);
  await writeFile(join(directory, 'ca.pem'), certificate.cert);
  plain = await startUpstream();
  secure = await startUpstream(certificate);
  restarting = await startUpstream();
  gate = await startGate({
    routes: [
      { path: '/plain', upstream: plain.url, auth: 'none' },
      { path: '/restarting', upstream: restarting.url, auth: 'none' },
      { path: '/secure', upstream: secure.url, auth: 'none', tls: { ca: { file: join(directory, 'ca.pem') } } },
    ],
  });
});

afterAll(async () => {
  await gate.stop();
  await plain.stop();
  await secure.stop();
  await restarting.stop();
  await rm(directory, { recursive: true });
});

describe.each([
  ['plain', () => plain],
  ['secure', () => secure],
])('over a connection that is used again: %s', (path, upstreamNow) => {
  let upstream: Upstream;

  // One connection stands idle, and closes when it is used.
  beforeEach(async () => {
    upstream = upstreamNow();
    // The one of the test before is used up first.
    upstream.react = (socket) => socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    await call(`/${path}`);
    upstream.react = (socket) => socket.write(answer);
    expect((await call(`/${path}`)).status).toBe(200);
    upstream.heard.length = 0;
    upstream.react = (socket, nth) => (nth > 1 ? void socket.destroy() : void socket.write(answer));
  });

  test.each(['GET', 'HEAD', 'OPTIONS'])('%s is sent again, and the client sees the answer', async (method) => {
    expect((await call(`/${path}`, { method })).status).toBe(200);
    expect(upstream.heard).toEqual([2, 1]);
  });

  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('%s is not: it may have been done', async (method) => {
    expect(await call(`/${path}`, { method })).toMatchObject({
      status: 502,
      problem: { code: 'upstream_unreachable' },
    });
    expect(upstream.heard).toEqual([2]);
  });

  test.each([true, false])('nor is a GET with a body; chunked: %j', async (chunked) => {
    expect((await call(`/${path}`, { body: Buffer.from('x'), chunked })).status).toBe(502);
    expect(upstream.heard).not.toContain(1);
  });

  test('nothing is sent again once there was a byte of an answer', async () => {
    upstream.react = (socket) => void socket.write('HTTP/1.1 2', () => socket.destroy());
    expect((await call(`/${path}`)).status).toBe(502);
    expect(upstream.heard).toEqual([2]);
  });

  test('nothing is sent a third time, be it over one more connection that stood idle', async () => {
    const waiting: Socket[] = [];
    upstream.react = (socket) => {
      waiting.push(socket);
      if (waiting.length === 3) for (const each of waiting) each.write(answer);
    };
    await Promise.all([call(`/${path}`), call(`/${path}`), call(`/${path}`)]);
    upstream.heard.length = 0;
    upstream.react = (socket) => void socket.destroy();
    expect((await call(`/${path}`)).status).toBe(502);
    expect(upstream.heard).toHaveLength(2);
    expect((await call(`/${path}`)).status).toBe(502);
  });
});

test('a new connection that closes without an answer is a failure, not an idle one: nothing is sent again', async () => {
  plain.react = (socket) => socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  await call('/plain');
  plain.heard.length = 0;
  plain.react = (socket) => void socket.destroy();
  expect((await call('/plain')).status).toBe(502);
  expect(plain.heard).toEqual([1]);
});

test('an upstream that restarts closes all of its idle connections, and costs nobody an answer', async () => {
  const sockets = new Set<Socket>();
  restarting.react = (socket) => {
    sockets.add(socket);
    if (sockets.size === 40) for (const each of sockets) each.write(answer);
  };
  await Promise.all(Array.from({ length: 40 }, () => call('/restarting')));
  restarting.react = (socket) => {
    if (!sockets.has(socket)) return void socket.write(answer);
    // Those in use are heard of first.
    socket.destroy();
    for (const each of sockets) each.destroy();
  };
  const answers = await Promise.all(Array.from({ length: 10 }, () => call('/restarting')));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  const [line = ''] = await gate.metric('postern_upstream_retries_total{http_route="/restarting"}');
  expect(Number(line.split(' ').pop())).toBeGreaterThan(0);
});
