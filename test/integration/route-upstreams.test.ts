// Upstreams that are reached in their own ways: behind a private authority, for clients with a certificate alone, through a socket of the machine.
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makeCertificate } from '../support/certificate.ts';
import type { Certificate } from '../support/certificate.ts';
import { accessToken, startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { createCaller } from '../support/gate-call.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let directory: string;
let internal: RecordingUpstream;
let renewed: Certificate;
let clients: [former: Certificate, next: Certificate];
let mutual: Server;
let socket: Server;
/** The certificates that clients of `mutual` have shown. */
const shown: string[] = [];
const askedThroughSocket: (string | undefined)[] = [];
let gate: Gate;
const { call } = createCaller(() => gate);

const fileOf = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-upstreams-'));
  const certificates = [makeCertificate(['orders.internal']), makeCertificate(['127.0.0.1'])] as const;
  clients = [makeCertificate(['former']), makeCertificate(['next'])];
  renewed = makeCertificate(['127.0.0.1']);
  internal = await RecordingUpstream.start(certificates[0]);
  mutual = createTlsServer(
    { ...certificates[1], ca: clients.map(({ cert }) => cert), requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      if (request.socket instanceof TLSSocket) shown.push(String(request.socket.getPeerCertificate().subject.CN));
      response.setHeader('connection', 'close');
      response.end('mutual');
    },
  );
  await once(mutual.listen(0, '127.0.0.1'), 'listening');
  socket = createServer((request, response) => {
    askedThroughSocket.push(request.url, request.headers.host, request.headers.authorization);
    response.end('socket');
  });
  await once(socket.listen(fileOf('app.sock')), 'listening');
  await Promise.all([
    writeFile(fileOf('internal.pem'), certificates[0].cert),
    writeFile(fileOf('mutual.pem'), certificates[1].cert),
    writeFile(fileOf('client.pem'), clients[0].cert),
    writeFile(fileOf('client.key'), clients[0].key),
  ]);
  const ca = { file: fileOf('internal.pem') };
  const mutualUrl = `https://127.0.0.1:${(mutual.address() as AddressInfo).port}`;
  gate = await startGate({
    routes: [
      { path: '/internal', upstream: internal.url, tls: { ca, serverName: 'orders.internal' } },
      { path: '/by-address', upstream: internal.url, tls: { ca } },
      { path: '/by-usual-authorities', upstream: internal.url, tls: { serverName: 'orders.internal' } },
      { path: '/by-nothing', upstream: internal.url },
      {
        path: '/mutual',
        upstream: mutualUrl,
        tls: {
          ca: { file: fileOf('mutual.pem') },
          cert: { file: fileOf('client.pem') },
          key: { file: fileOf('client.key') },
        },
      },
      { path: '/mutual-without', upstream: mutualUrl, tls: { ca: { file: fileOf('mutual.pem') } } },
      { path: '/socket', upstream: `unix:${fileOf('app.sock')}`, rewrite: '/v1' },
      { path: '/no-socket', upstream: `unix:${fileOf('nobody.sock')}` },
    ],
  });
});

afterAll(async () => {
  await gate.stop();
  await internal.stop();
  for (const server of [mutual, socket]) {
    server.close();
    server.closeAllConnections();
  }
  await rm(directory, { recursive: true });
});

async function statusOf(path: string): Promise<number> {
  return (await call(path, { cookie: await gate.signIn() })).status;
}

test('a private authority and another name than the host’s are believed where the route says so (RT-18)', async () => {
  expect(await statusOf('/internal')).toBe(200);
  expect(internal.last.headers.authorization).toBe(`Bearer ${accessToken}`);
});

test('a private authority is believed on its own route and nowhere else, whatever connections to the same server stand (PX-16)', async () => {
  await statusOf('/internal');
  const asked = internal.requests.length;
  expect(await statusOf('/by-address')).toBe(502);
  expect(await statusOf('/by-usual-authorities')).toBe(502);
  expect(await statusOf('/by-nothing')).toBe(502);
  expect(internal.requests).toHaveLength(asked);
});

test('an upstream that asks for a certificate is shown the route’s, and no other route’s', async () => {
  expect(await statusOf('/mutual')).toBe(200);
  expect(shown).toEqual(['former']);
  expect(await statusOf('/mutual-without')).toBe(502);
  expect(shown).toEqual(['former']);

  // A pair that does not fit, as between two writes: the former one stays in use.
  await replace('client.pem', clients[1].cert);
  await until(() => gate.log.some((line) => line.includes('files_refused')));
  expect(await statusOf('/mutual')).toBe(200);
  expect(shown.at(-1)).toBe('former');

  await replace('client.key', clients[1].key);
  await until(() => gate.log.some((line) => line.includes('files_reloaded')));
  expect(await statusOf('/mutual')).toBe(200);
  expect(shown.at(-1)).toBe('next');

  // An authority that is taken out is believed no more.
  await replace('mutual.pem', renewed.cert);
  await until(() => gate.log.filter((line) => line.includes('files_reloaded')).length >= 2);
  await until(async () => (await statusOf('/mutual')) === 502);
});

test('an upstream can be a socket of this machine', async () => {
  expect(await call('/socket/orders?page=2', { cookie: await gate.signIn() })).toMatchObject({
    status: 200,
    body: 'socket',
  });
  expect(askedThroughSocket).toEqual(['/v1/orders?page=2', 'localhost', `Bearer ${accessToken}`]);
  expect(await call('/no-socket', { cookie: await gate.signIn() })).toMatchObject({
    status: 502,
    problem: { code: 'upstream_unreachable' },
  });
});

/** As certificate managers do it. */
async function replace(name: string, content: string): Promise<void> {
  await writeFile(fileOf(`${name}.new`), content);
  await rename(fileOf(`${name}.new`), fileOf(name));
}
