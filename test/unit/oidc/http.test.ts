// How far did a request come? A refresh token that may have been used must not be sent again as if nothing had happened.
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from '@jest/globals';
import { makeCertificate } from '../../support/certificate.ts';
import { createProviderHttp } from '../../../src/oidc/http.ts';
import { freePort } from '../../support/free-port.ts';

const http = createProviderHttp({ ca: undefined });
const servers: Server[] = [];
const sockets = new Set<Socket>();
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) if (server.listening) await new Promise((resolve) => server.close(resolve));
});

async function serve(onConnection: (socket: Socket) => void): Promise<number> {
  return listen(
    createServer((socket) => {
      socket.on('error', () => undefined);
      onConnection(socket);
    }),
  );
}

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const post = { method: 'POST', headers: {}, body: new URLSearchParams({ a: 'b' }) };

// Answers from a thread of its own, because the test stops this one.
const answering = `
  const { parentPort } = require('node:worker_threads');
  const server = require('node:http').createServer((request, response) => {
    parentPort.postMessage('received');
    setTimeout(() => response.end('{}'), 100);
  });
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`;

test('a process that wakes after its time limit finds the answer that came while it stood still (SES-19, TK-08)', async () => {
  const worker = new Worker(answering, { eval: true });
  worker.unref();
  const [port] = (await once(worker, 'message')) as [number];
  const answer = http.fresh(1_000)(`http://127.0.0.1:${port}/token`, post);
  await once(worker, 'message');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000);
  expect(await answer.then((response) => response.text()).finally(() => worker.terminate())).toBe('{}');
});

test('over a refused connection nothing was sent', async () => {
  const url = `http://127.0.0.1:${await freePort()}/token`;
  await expect(http.fresh(5_000)(url, post)).rejects.toMatchObject({
    code: 'ECONNREFUSED',
    sent: false,
    answered: false,
  });
});

test('to a name that does not exist nothing was sent', async () => {
  await expect(http.fresh(5_000)('http://nowhere.invalid/token', post)).rejects.toMatchObject({ sent: false });
});

test('over a TLS handshake that fails nothing was sent', async () => {
  const url = `https://127.0.0.1:${await serve((socket) => socket.end('no TLS here\r\n'))}/token`;
  await expect(http.fresh(5_000)(url, post)).rejects.toMatchObject({ sent: false, answered: false });
});

test('a TLS handshake that is cut: not sent, although the code alone would say otherwise', async () => {
  const url = `https://127.0.0.1:${await serve((socket) => socket.once('data', () => socket.resetAndDestroy()))}/token`;
  await expect(http.fresh(5_000)(url, post)).rejects.toMatchObject({ code: 'ECONNRESET', sent: false });
});

test('a connection cut after the request: sent, not answered', async () => {
  const url = `http://127.0.0.1:${await serve((socket) => socket.once('data', () => socket.resetAndDestroy()))}/token`;
  await expect(http.fresh(5_000)(url, post)).rejects.toMatchObject({ sent: true, answered: false });
});

test('no answer within the limit: sent, not answered', async () => {
  const url = `http://127.0.0.1:${await serve(() => undefined)}/token`;
  await expect(http.fresh(50)(url, post)).rejects.toMatchObject({ code: 'TimeoutError', sent: true, answered: false });
});

test('a body that trickles on for ever ends at the limit too', async () => {
  const url = `http://127.0.0.1:${await serve((socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{');
  })}/token`;
  await expect(http.fresh(50)(url, post)).rejects.toMatchObject({ sent: true, answered: false });
});

test('more than 1 MB: sent and answered, and not read to its end', async () => {
  const url = `http://127.0.0.1:${await serve((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n${'x'.repeat(1_100_000)}`);
  })}/token`;
  await expect(http.fresh(5_000)(url, post)).rejects.toMatchObject({ sent: true, answered: true });
});

test('bytes that are no HTTP: sent, not answered', async () => {
  const url = `http://127.0.0.1:${await serve((socket) => socket.once('data', () => socket.end('hello\r\n\r\n')))}/token`;
  await expect(http.fresh(5_000)(url, post)).rejects.toMatchObject({ sent: true });
});

test.each([[204], [304], [302], [500], [999]])('status %d comes through or fails cleanly', async (status) => {
  const port = await listen(
    createHttpServer((_request, response) => response.writeHead(status, { location: 'http://127.0.0.1:9/' }).end()),
  );
  const outcome = await http
    .fresh(5_000)(`http://127.0.0.1:${port}/`, { method: 'GET', headers: {} })
    .then(
      (response) => response.status,
      (error: unknown) => (error as Error).name,
    );
  expect(outcome).toBe(status === 999 ? 'CallFailure' : status);
});

test('pooled calls share a connection, fresh ones never do', async () => {
  const ports: (number | undefined)[] = [];
  const port = await listen(
    createHttpServer((request, response) => {
      ports.push(request.socket.remotePort);
      response.end('{}');
    }),
  );
  const url = `http://127.0.0.1:${port}/`;
  const get = { method: 'GET', headers: {} };
  for (const fetch of [http.pooled(5_000), http.pooled(5_000), http.fresh(5_000), http.fresh(5_000)]) {
    await fetch(url, get);
    // A connection is back in its pool a turn after its answer has been read.
    await new Promise(setImmediate);
  }
  expect(new Set(ports).size).toBe(3);
});

test('a certificate that a private authority signed needs that authority; its name must fit (OA-20)', async () => {
  const answer = (_request: unknown, response: { end: (text: string) => void }) => {
    response.end('{}');
  };
  const right = makeCertificate(['127.0.0.1']);
  const wrongName = makeCertificate(['id.example.test']);
  const rightUrl = `https://127.0.0.1:${await listen(createTlsServer(right, answer))}/`;
  const wrongUrl = `https://127.0.0.1:${await listen(createTlsServer(wrongName, answer))}/`;
  const trusting = createProviderHttp({ ca: right.cert + wrongName.cert });
  const get = { method: 'GET', headers: {} };
  expect((await trusting.fresh(5_000)(rightUrl, get)).status).toBe(200);
  await expect(http.fresh(5_000)(rightUrl, get)).rejects.toMatchObject({
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    sent: false,
  });
  await expect(trusting.fresh(5_000)(wrongUrl, get)).rejects.toMatchObject({
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    sent: false,
  });
  await trusting.close();
});
