// The public listener with TLS of its own: what a stranger can do to it in the handshake and behind it, and that encryption changes nothing about what is refused.
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { baseConfig, startPosternProcess } from '../support/postern.ts';
import type { PosternProcess } from '../support/postern.ts';
import { parseAnswers } from '../support/raw-client.ts';
import type { RawAnswer } from '../support/raw-client.ts';
import { startStopwatch } from '../support/stopwatch.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let api: RecordingUpstream;
let directory: string;
let postern: PosternProcess;
let port: number;

beforeAll(async () => {
  [api, directory, port] = await Promise.all([
    RecordingUpstream.start(),
    mkdtemp(join(tmpdir(), 'postern-tls-')),
    freePort(),
  ]);
  const { cert, key } = makeCertificate(['localhost']);
  const files = { cert: { file: join(directory, 'tls.crt') }, key: { file: join(directory, 'tls.key') } };
  await Promise.all([writeFile(files.cert.file, cert), writeFile(files.key.file, key)]);
  const nobody = { issuer: 'http://127.0.0.1:9', clientId: 'postern', clientSecret: 'secret' };
  postern = await startPosternProcess(
    baseConfig(port, nobody, {
      publicUrl: `https://localhost:${port}`,
      tls: files,
      routes: [
        { path: '/open', upstream: api.url, auth: 'none' },
        { path: '/api', upstream: api.url },
      ],
    }),
  );
});
afterAll(async () => {
  await Promise.all([postern.stop(), api.stop()]);
  await rm(directory, { recursive: true });
});
beforeEach(() => {
  api.requests.length = 0;
});

/** Everything that comes back to these bytes, through TLS. */
async function exchange(bytes: string, options: ConnectionOptions = {}): Promise<RawAnswer[]> {
  const settings = { host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false };
  const socket = tls.connect({ ...settings, ...options });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => undefined);
  socket.write(Buffer.from(bytes, 'latin1'));
  await once(socket, 'close');
  return parseAnswers(Buffer.concat(chunks).toString('latin1'));
}
const host = (): string => `Host: localhost:${port}`;
const isAlive = async (): Promise<boolean> => {
  const [answer] = await exchange(`GET /open HTTP/1.1\r\n${host()}\r\nConnection: close\r\n\r\n`);
  return answer?.status === 200 && (await fetch(`${postern.operationsUrl}/livez`)).status === 200;
};

test.each([
  ['a length and chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked'], 400],
  ['two lengths', ['Content-Length: 5', 'Content-Length: 6'], 400],
  ['two codings', ['Transfer-Encoding: gzip, chunked'], 400],
  ['another protocol', ['Connection: upgrade', 'Upgrade: h2c'], 400],
  ['TLS in place of TLS', ['Connection: upgrade', 'Upgrade: TLS/1.3'], 400],
  ['a second Host', ['Host: evil.test'], 421],
  ['a head that is too large', [`X: ${'x'.repeat(64 * 1024)}`, 'Connection: close'], 431],
])(
  '%s is refused as on a plain connection, and nothing behind it is served (PRX-08, PX-03, PX-14)',
  async (_what, lines, status) => {
    const behind = `GET /open/smuggled HTTP/1.1\r\n${host()}\r\nConnection: close\r\n\r\n`;
    const isRefusalOfOne = status === 421;
    const head = ['POST /open HTTP/1.1', host(), ...lines, ...(isRefusalOfOne ? ['Connection: close'] : [])];
    const answers = await exchange(`${head.join('\r\n')}\r\n\r\n0\r\n\r\n${isRefusalOfOne ? '' : behind}`);
    expect(answers.map(({ status: seen }) => seen)).toEqual([status]);
    expect(api.requests).toEqual([]);
  },
);

test('HTTP/2 is not spoken: its preface is no request, with ALPN and without (PRX-11, DL-12)', async () => {
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0';
  for (const options of [{}, { ALPNProtocols: ['h2', 'http/1.1'] }]) {
    const answers = await exchange(preface, options);
    expect(answers.map(({ status }) => status)).toEqual([400]);
  }
  expect(api.requests).toEqual([]);
});

test('the name in the handshake chooses nothing: the Host decides, and a foreign one is refused (PX-17, RT-07)', async () => {
  const ask = (name: string) => `GET /open HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`;
  expect((await exchange(ask(`localhost:${port}`), { servername: 'evil.test' })).map(({ status }) => status)).toEqual([
    200,
  ]);
  expect((await exchange(ask('evil.test'), { servername: 'evil.test' })).map(({ status }) => status)).toEqual([421]);
  expect(api.last.headers['x-forwarded-proto']).toBe('https');
});

describe('strangers who do not finish', () => {
  /** A TCP connection that says these bytes and nothing more. */
  async function say(bytes: Buffer): Promise<net.Socket> {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(bytes);
    return socket;
  }
  const hello = Buffer.from('16030100f8010000f40303', 'hex');

  test('resets in the midst of the handshake, records of the wrong kind, and garbage end that connection alone (SEC-07, PX-08)', async () => {
    const openings = [
      hello,
      Buffer.from('1503030002022a', 'hex'),
      Buffer.from('160301ffff', 'hex'),
      Buffer.from('80800103010057', 'hex'),
      Buffer.alloc(20_000, 0x16),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    ];
    for (const opening of openings) {
      for (let attempt = 0; attempt < 10; attempt += 1) {
        const socket = await say(opening);
        await new Promise((resolve) => setImmediate(resolve));
        socket.resetAndDestroy();
      }
    }
    expect(await isAlive()).toBe(true);
    expect(postern.output.filter((line) => /"level":"(error|fatal)"|^ {4}at /.test(line))).toEqual([]);
  });

  test('a handshake that never ends is cut, and others are served meanwhile (DL-01)', async () => {
    const silent = await Promise.all(Array.from({ length: 20 }, () => say(hello)));
    expect(await isAlive()).toBe(true);
    const watch = startStopwatch();
    for (const socket of silent) if (!socket.resume().closed) await once(socket, 'close');
    expect(watch.elapsedMs()).toBeLessThan(15_000);
    watch.stop();
  }, 180_000);
});
