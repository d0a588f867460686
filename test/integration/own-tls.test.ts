// TLS of Postern's own, over real sockets: what is spoken, whose certificate is shown, and what a changed file does to those who are connected.
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import tls from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { anotherLook } from '../support/another-look.ts';
import { makeCertificate } from '../support/certificate.ts';
import type { Certificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { newSessionKey, startPostern } from '../support/postern.ts';
import type { ConfigInput, LocalPostern, Registration } from '../support/postern.ts';
import { connect as connectRaw, exchange } from '../support/raw-client.ts';
import { startRealProvider } from '../support/real-provider.ts';
import { signIn } from '../support/signed-in.ts';
import { RecordingUpstream } from '../support/upstream.ts';
import { until } from '../support/until.ts';

const unused = { issuer: 'http://localhost:9', clientId: 'shop', clientSecret: 'unused' };
const usualAuthorities = tls.getCACertificates('default');
let directory: string;
const ending: (() => Promise<void>)[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-tls-'));
});
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
  tls.setDefaultCACertificates(usualAuthorities);
  rmSync(directory, { recursive: true });
});

const file = (name: string): string => join(directory, name);

function write({ cert, key }: Certificate): void {
  writeFileSync(file('tls.crt'), cert);
  writeFileSync(file('tls.key'), key);
}

/** Postern with the files as they are. */
async function serve(more: ConfigInput = {}, registration: Registration = unused): Promise<LocalPostern> {
  const port = await freePort();
  const postern = await startPostern(registration, {
    publicUrl: `https://localhost:${port}`,
    listen: `127.0.0.1:${port}`,
    tls: { cert: { file: file('tls.crt') }, key: { file: file('tls.key') } },
    ...more,
  });
  ending.push(() => postern.stop());
  return postern;
}

/** A connection, once its handshake is over. */
async function connect(postern: LocalPostern, options: ConnectionOptions): Promise<TLSSocket> {
  const { port } = new URL(postern.address);
  const socket = tls.connect({ host: '127.0.0.1', port: Number(port), servername: 'localhost', ...options });
  socket.on('error', () => undefined);
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  socket.once('secureConnect', () => resolve(undefined));
  socket.once('close', () => reject(new Error('closed before the handshake was over')));
  await promise;
  return socket;
}

/** The serial number of the certificate that a new connection is shown. */
async function shownBy(postern: LocalPostern): Promise<string> {
  const socket = await connect(postern, { rejectUnauthorized: false });
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

const serialOf = ({ cert }: Certificate): string => new X509Certificate(cert).serialNumber;

/** The status of an answer, and the body that comes after it. */
async function ask(postern: LocalPostern, path: string, agent: Agent): Promise<{ status: number; body: string }> {
  const asking = request(`${postern.address}${path}`, {
    agent,
    rejectUnauthorized: false,
    servername: 'localhost',
    headers: { host: new URL(postern.publicUrl).host },
  }).end();
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: await text(response) };
}

const problemsTold = ({ log }: LocalPostern): string[] => log.filter((line) => line.includes('"level":"error"'));
const reloads = async (postern: LocalPostern, outcome: string): Promise<number> =>
  Number(
    /\d+$/.exec((await postern.metric(`postern_tls_certificate_reloads_total{outcome="${outcome}"`))[0] ?? '0')?.[0],
  );

test('a whole login and a call go over it; the cookie is as publicUrl wants it', async () => {
  const certificate = makeCertificate(['localhost']);
  write(certificate);
  tls.setDefaultCACertificates([...usualAuthorities, certificate.cert]);
  const [provider, api] = await Promise.all([startRealProvider(), RecordingUpstream.start()]);
  ending.push(
    () => provider.close(),
    () => api.stop(),
  );
  const postern = await serve({ routes: [{ path: '/api', upstream: api.url }] }, provider);
  expect(postern.address).toMatch(/^https:/);
  const alice = await signIn(postern, provider);
  expect(alice.cookie).toMatch(/^__Host-Http-postern=/);
  expect((await alice.call('/api/orders')).status).toBe(200);
  expect(api.last.headers).toMatchObject({
    'x-forwarded-proto': 'https',
    authorization: expect.stringMatching(/^Bearer /),
  });
});

test('TLS 1.2 and 1.3 are spoken, with HTTP/1.1; older ones, ciphers without authentication and HTTP/2 alone are refused (RT-18)', async () => {
  write(makeCertificate(['localhost']));
  const postern = await serve();
  const spoken = async (options: ConnectionOptions): Promise<unknown[]> => {
    const socket = await connect(postern, { rejectUnauthorized: false, ...options });
    const said = [socket.getProtocol(), socket.alpnProtocol];
    socket.destroy();
    return said;
  };
  const ALPNProtocols = ['h2', 'http/1.1'];
  expect(await spoken({ ALPNProtocols })).toEqual(['TLSv1.3', 'http/1.1']);
  expect(await spoken({ ALPNProtocols, maxVersion: 'TLSv1.2' })).toEqual(['TLSv1.2', 'http/1.1']);
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  await expect(spoken(old)).rejects.toThrow();
  const cbc = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA' } as const;
  await expect(spoken(cbc)).rejects.toThrow();
  await expect(spoken({ ALPNProtocols: ['h2'] })).rejects.toThrow();
});

test('what is no TLS gets no answer and harms nobody', async () => {
  write(makeCertificate(['localhost']));
  const postern = await serve();
  const plain = postern.address.replace('https:', 'http:');
  for (const bytes of [
    `GET /bff/session HTTP/1.1\r\nHost: ${new URL(postern.publicUrl).host}\r\n\r\n`,
    '\x16\x03\x01\xff\xff',
  ]) {
    const broken = connectRaw(plain);
    await once(broken, 'connect');
    broken.resetAndDestroy();
    if (bytes.startsWith('GET')) expect((await exchange(plain, bytes)).answers).toEqual([]);
    else connectRaw(plain).end(bytes, 'latin1');
  }
  expect(await shownBy(postern)).not.toBe('');
  expect(problemsTold(postern)).toEqual([]);
});

test('a certificate that is renewed is shown to new connections; a call under way and its connection stay', async () => {
  const first = makeCertificate(['localhost']);
  const second = makeCertificate(['localhost'], { to: Date.now() + 30 * 86_400_000 });
  write(first);
  const api = await RecordingUpstream.start();
  ending.push(() => api.stop());
  let finish = (): void => undefined;
  api.answer = (_request, response) => {
    response.writeHead(200).write('first half, ');
    finish = () => void response.end('second half');
  };
  const postern = await serve({ routes: [{ path: '/api', upstream: api.url, auth: 'none' }] });
  expect(await shownBy(postern)).toBe(serialOf(first));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const call = ask(postern, '/api/slow', agent);
  await until(() => api.requests.length === 1);

  write(second);
  await until(async () => (await shownBy(postern)) === serialOf(second));
  expect(await reloads(postern, 'taken')).toBe(1);
  const [notAfter] = await postern.metric('postern_tls_certificate_not_after_seconds');
  expect(notAfter).toBe(
    `postern_tls_certificate_not_after_seconds{host="localhost"} ${new X509Certificate(second.cert).validToDate.getTime() / 1000}`,
  );

  finish();
  expect(await call).toEqual({ status: 200, body: 'first half, second half' });
  const [kept] = Object.values(agent.freeSockets).flat() as TLSSocket[];
  expect(kept?.getPeerCertificate().serialNumber).toBe(serialOf(first));
  api.reset();
  expect((await ask(postern, '/api/again', agent)).status).toBe(200);
  expect(Object.values(agent.freeSockets).flat()).toEqual([kept]);
  agent.destroy();
});

test('a mounted certificate that Kubernetes swaps by its symbolic link is taken over', async () => {
  const [first, second] = [makeCertificate(['localhost']), makeCertificate(['localhost'])];
  for (const [version, { cert, key }] of [
    ['..v1', first],
    ['..v2', second],
  ] as const) {
    mkdirSync(file(version));
    writeFileSync(file(`${version}/tls.crt`), cert);
    writeFileSync(file(`${version}/tls.key`), key);
  }
  symlinkSync('..v1', file('..data'));
  symlinkSync('..data/tls.crt', file('tls.crt'));
  symlinkSync('..data/tls.key', file('tls.key'));
  const postern = await serve();
  expect(await shownBy(postern)).toBe(serialOf(first));
  symlinkSync('..v2', file('..data_tmp'));
  renameSync(file('..data_tmp'), file('..data'));
  await until(async () => (await shownBy(postern)) === serialOf(second));
});

const good = makeCertificate(['localhost']);
const hourAgo = Date.now() - 3_600_000;

test.each([
  [
    'half written',
    { ...good, cert: good.cert.slice(0, 200) },
    'tls.crt holds a certificate that is cut off or damaged',
  ],
  ['empty', { ...good, key: '' }, 'tls.key holds a key that is cut off or damaged'],
  ['of two pairs', { ...good, key: makeCertificate(['localhost']).key }, 'tls.key does not belong to the certificate'],
  ['expired', makeCertificate(['localhost'], { to: hourAgo }), 'tls.crt expired at'],
  ['for later', makeCertificate(['localhost'], { from: Date.now() + 3_600_000 }), 'tls.crt is not valid before'],
])(
  'files that are %s change nothing: said once, counted, and the right ones are taken over next',
  async (_what, bad, why) => {
    const [first, second] = [makeCertificate(['localhost']), makeCertificate(['localhost'])];
    write(first);
    const postern = await serve();
    write(bad);
    await until(() => problemsTold(postern).some((line) => line.includes(why)));
    expect(await shownBy(postern)).toBe(serialOf(first));
    await anotherLook(directory);
    write(second);
    await until(async () => (await shownBy(postern)) === serialOf(second));
    expect(problemsTold(postern).filter((line) => line.includes(why))).toHaveLength(1);
    expect(await reloads(postern, 'refused')).toBe(problemsTold(postern).length);
    for (const key of [bad.key, second.key])
      expect(postern.log.join('')).not.toContain(key.split('\n')[1] || 'PRIVATE');
  },
);

test('files that are gone change nothing', async () => {
  const first = makeCertificate(['localhost']);
  write(first);
  const postern = await serve();
  rmSync(file('tls.key'));
  await until(() => problemsTold(postern).some((line) => line.includes('tls.key cannot be read')));
  expect(await shownBy(postern)).toBe(serialOf(first));
});

test('a resumed session saves a handshake with the process that gave it; another process, or a renewed certificate, asks for a whole one and answers alike', async () => {
  const certificate = makeCertificate(['localhost']);
  write(certificate);
  const keys = { session: { keys: [newSessionKey()] } };
  const [one, other] = [await serve(keys), await serve(keys)];
  const socket = await connect(one, { rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
  const session = socket.getSession();
  socket.destroy();
  expect(session).toBeDefined();
  const resumes = async (postern: LocalPostern): Promise<boolean> => {
    const again = await connect(postern, { rejectUnauthorized: false, maxVersion: 'TLSv1.2', session: session! });
    const isReused = again.isSessionReused();
    again.destroy();
    return isReused;
  };
  expect([await resumes(one), await resumes(other)]).toEqual([true, false]);
  write(makeCertificate(['localhost']));
  await until(async () => (await shownBy(one)) !== serialOf(certificate));
  expect(await resumes(one)).toBe(false);
});
