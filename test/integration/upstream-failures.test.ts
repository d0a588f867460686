// What a caller is told when an upstream is not there, breaks off, falls silent or speaks no HTTP (RFC 9110 section 15.6).
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { createCaller } from '../support/gate-call.ts';
import { exchange } from '../support/raw-client.ts';
import { HostileUpstream, RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
let hostile: HostileUpstream;
let react: Parameters<typeof HostileUpstream.start>[0];
let gate: Gate;
const { call } = createCaller(() => gate);

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  hostile = await HostileUpstream.start((socket) => react(socket));
  const timeout = { connect: '200ms', headers: '300ms', idle: '300ms' };
  gate = await startGate({
    routes: [
      { path: '/open', upstream: upstream.url, auth: 'none' },
      { path: '/hostile', upstream: hostile.url, auth: 'none' },
      { path: '/hostile/silent', upstream: hostile.url, auth: 'none', timeout },
      { path: '/falls-silent', upstream: hostile.url, auth: 'none', timeout: { headers: '25s', idle: '200ms' } },
      { path: '/closed', upstream: 'http://127.0.0.1:1', auth: 'none' },
      { path: '/nowhere', upstream: 'http://does-not-exist.invalid', auth: 'none' },
      { path: '/not-tls', upstream: hostile.url.replace('http:', 'https:'), auth: 'none' },
      { path: '/never-tls', upstream: hostile.url.replace('http:', 'https:'), auth: 'none', timeout },
    ],
  });
});

afterAll(async () => {
  await gate.stop();
  await upstream.stop();
  await hostile.stop();
});

afterEach(() => upstream.reset());

describe('when the upstream fails (PRX-09, PRX-15, PX-08, SEC-04)', () => {
  const badUpstreams: [string, typeof react, number, string][] = [
    ['closes before it answers', (socket) => socket.destroy(), 502, 'upstream_unreachable'],
    ['resets', (socket) => socket.resetAndDestroy(), 502, 'upstream_unreachable'],
    [
      'closes in the middle of the head',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-'),
      502,
      'upstream_unreachable',
    ],
    ['speaks HTTP/0.9', (socket) => socket.end('<html>hello</html>'), 502, 'upstream_invalid'],
    ['gives a malformed status', (socket) => socket.end('HTTP/1.1 OK\r\n\r\n'), 502, 'upstream_invalid'],
    [
      'gives two different lengths',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'),
      502,
      'upstream_invalid',
    ],
    [
      'gives a length and chunks',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
      502,
      'upstream_invalid',
    ],
    ['has a NUL in a header', (socket) => socket.end('HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n'), 502, 'upstream_invalid'],
    [
      'has an endless head',
      (socket) => socket.end(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`),
      502,
      'upstream_invalid',
    ],
    [
      'switches protocols unasked',
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
      502,
      'upstream_invalid',
    ],
    [
      'switches to a protocol that nobody asked for',
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n'),
      502,
      'upstream_invalid',
    ],
    [
      'has a status below 100',
      (socket) => socket.end('HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n'),
      502,
      'upstream_invalid',
    ],
    ['never answers', () => undefined, 504, 'upstream_timeout'],
  ];

  test.each(badUpstreams)('one that %s', async (_, reaction, status, code) => {
    react = reaction;
    const answer = await call(code === 'upstream_timeout' ? '/hostile/silent?secret=1' : '/hostile/x?secret=1');
    expect(answer).toMatchObject({ status, problem: { code, status } });
    expect(answer.body).not.toMatch(/127\.0\.0\.1|secret|ECONN|HPE|\bat \//);
  });

  test('one that nobody listens at, or whose name does not exist', async () => {
    expect(await call('/closed')).toMatchObject({ status: 502, problem: { code: 'upstream_unreachable' } });
    expect(await call('/nowhere')).toMatchObject({ status: 502, problem: { code: 'upstream_unreachable' } });
  });

  test('one that is no TLS server, or never finishes the handshake, within the time for connecting', async () => {
    react = (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    expect(await call('/not-tls')).toMatchObject({ status: 502, problem: { code: 'upstream_unreachable' } });
    react = () => undefined;
    expect(await call('/never-tls')).toMatchObject({ status: 504, problem: { code: 'upstream_timeout' } });
  });

  test('failures are counted by route and logged without the query', async () => {
    react = (socket) => socket.destroy();
    await call('/hostile/x?secret=1');
    expect(await gate.metric('postern_upstream_errors_total')).toContainEqual(
      expect.stringContaining('http_route="/hostile",code="upstream_unreachable"'),
    );
    expect(gate.log.join('')).not.toContain('secret=1');
  });

  test('an answer that is cut short does not look whole', async () => {
    react = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', () => socket.destroy());
    };
    const { text } = await exchange(gate.address, `GET /hostile HTTP/1.1\r\nHost: ${gate.host}\r\n\r\n`);
    expect(text).toContain('hello');
    expect(text).not.toMatch(/0\r\n\r\n$/);
    react = (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello', () => socket.destroy());
    await expect(call('/hostile')).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  });

  test('an answer that falls silent is cut at the idle limit', async () => {
    react = (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
    const startedAt = performance.now();
    await expect(call('/falls-silent')).rejects.toThrow(/aborted|hang up|ECONNRESET/);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  test('the connection of the client is good for the next request, even with half a body unsent', async () => {
    const next = `GET /open HTTP/1.1\r\nHost: ${gate.host}\r\nConnection: close\r\n\r\n`;
    const upload = `POST /closed HTTP/1.1\r\nHost: ${gate.host}\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1_000_000)}`;
    const { answers } = await exchange(gate.address, upload + next);
    expect(answers.map(({ status }) => status)).toEqual([502, 200]);
  });

  test('an answer that comes before the whole body has been read is passed on', async () => {
    upstream.answerEarly = true;
    upstream.answer = (_, response) => void response.writeHead(413).end('too much');
    const answer = await call('/open', { method: 'POST', body: Buffer.alloc(200_000), chunked: false });
    expect(answer).toMatchObject({ status: 413, body: 'too much' });
  });
});
