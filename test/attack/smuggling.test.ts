// Requests that two servers would cut apart at different places (RFC 9112 section 11.2): refused with 400 and a closed connection, or sent on as exactly one.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { exchange } from '../support/raw-client.ts';
import { HostileUpstream, RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
/** Counts requests by their bytes, not by anybody's framing. */
let lenient: HostileUpstream;
let gate: Gate;

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  lenient = await HostileUpstream.start((socket) =>
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
  );
  gate = await startGate({
    routes: [
      { path: '/open', upstream: upstream.url, auth: 'none' },
      { path: '/lenient', upstream: lenient.url, auth: 'none' },
    ],
  });
});

afterAll(async () => {
  await gate.stop();
  await Promise.all([upstream.stop(), lenient.stop()]);
});

beforeEach(() => {
  upstream.requests.length = 0;
  lenient.received = '';
});

const hidden = () => `GET /open/smuggled HTTP/1.1\r\nHost: ${gate.host}\r\n\r\n`;

describe('ambiguous framing is refused and the connection closed (PRX-08, PX-03)', () => {
  const chunked = 'Transfer-Encoding: chunked';
  const cases: [string, string[]][] = [
    ['a length and chunks', ['Content-Length: 5', chunked]],
    ['chunks and a length', [chunked, 'Content-Length: 5']],
    ['two lengths', ['Content-Length: 5', 'Content-Length: 6']],
    ['two equal lengths', ['Content-Length: 5', 'Content-Length: 5']],
    ['a list of lengths', ['Content-Length: 5, 5']],
    ['a length with a sign', ['Content-Length: +5']],
    ['a negative length', ['Content-Length: -5']],
    ['a hexadecimal length', ['Content-Length: 0x5']],
    ['an empty length', ['Content-Length:']],
    ['a length too large to count', ['Content-Length: 99999999999999999999']],
    ['a folded length', ['X: y', ' Content-Length: 5']],
    ['a space before the colon', ['Content-Length : 5']],
    ['a coding that is not chunked', ['Transfer-Encoding: xchunked']],
    ['chunked before identity', ['Transfer-Encoding: chunked, identity']],
    ['two codings', ['Transfer-Encoding: gzip, chunked']],
    ['two coding fields', [chunked, chunked]],
    ['a coding with a vertical tab', ['Transfer-Encoding: \x0bchunked']],
    ['a folded coding', ['Transfer-Encoding:', ' chunked']],
    ['a NUL in a header', ['X: a\0b']],
    ['a bare CR in a header', ['X: a\rContent-Length: 5']],
    ['a header without a colon', ['Content-Length 5']],
  ];

  test.each(cases)('%s', async (_, lines) => {
    const body = lines.some((line) => /chunked/.test(line)) ? '0\r\n\r\n' : 'hello';
    const head = `POST /open HTTP/1.1\r\nHost: ${gate.host}\r\n${lines.join('\r\n')}\r\n\r\n`;
    const { answers } = await exchange(gate.address, Buffer.from(head + body + hidden(), 'latin1'));
    expect(answers.map(({ status }) => status)).toContain(400);
    expect(answers.filter(({ status }) => status !== 400)).toEqual([]);
    expect(upstream.requests).toEqual([]);
  });

  test.each([
    ['a chunk size that overflows', 'fffffffffffffffff\r\n'],
    ['a chunk size with a sign', '+5\r\nhello\r\n0\r\n\r\n'],
    ['a chunk size with a prefix', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['a chunk longer than it says', '2\r\nhello\r\n0\r\n\r\n'],
    ['a bare LF behind the size', '5\nhello\r\n0\r\n\r\n'],
  ])('%s', async (_, body) => {
    const head = `POST /open HTTP/1.1\r\nHost: ${gate.host}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const { answers } = await exchange(gate.address, head + body + hidden());
    expect(answers.filter(({ status }) => status < 400)).toEqual([]);
    expect(upstream.requests.filter(({ target }) => target.includes('smuggled'))).toEqual([]);
  });

  test('chunks in HTTP/1.0, which knows none', async () => {
    const head = `POST /open HTTP/1.0\r\nHost: ${gate.host}\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n`;
    const { answers } = await exchange(gate.address, `${head}0\r\n\r\n${hidden()}`);
    expect(answers.map(({ status }) => status)).toEqual([400]);
    expect(upstream.requests).toEqual([]);
  });

  test('lines that end in a bare LF', async () => {
    const { answers } = await exchange(gate.address, `GET /open HTTP/1.1\nHost: ${gate.host}\nX: y\n\n`);
    expect(answers.map(({ status }) => status)).toEqual([400]);
    expect(upstream.requests).toEqual([]);
  });
});

test.each(['Transfer-Encoding: chunked', 'Content-Length: 46', 'Upgrade: h2c', 'Host: other.example.com'])(
  'no field is overlooked behind thousands of others: %s (PX-03)',
  async (line) => {
    const head = ['GET /lenient HTTP/1.1', `Host: ${gate.host}`, 'Connection: close', ...Array(2_000).fill('a:'), line];
    const { answers } = await exchange(gate.address, `${head.join('\r\n')}\r\n\r\n2e\r\n${hidden()}`);
    expect(answers.map(({ status }) => status)).toEqual([431]);
    expect(lenient.received).toBe('');
  },
);

describe('a request within a body stays a body (PX-01)', () => {
  test.each(['GET', 'DELETE', 'OPTIONS', 'POST', 'PUT'])('%s with chunks', async (method) => {
    const inner = hidden();
    const head = `${method} /lenient HTTP/1.1\r\nHost: ${gate.host}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
    const { answers } = await exchange(gate.address, `${head}${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`);
    expect(answers).toHaveLength(1);
    expect(lenient.received.toLowerCase()).toContain('\r\ntransfer-encoding: chunked\r\n');
    expect(lenient.received.toLowerCase()).not.toContain('\r\ncontent-length:');
  });

  test.each(['GET', 'DELETE', 'OPTIONS', 'POST'])('%s with a length that Connection names', async (method) => {
    const inner = hidden();
    const lines = [`Content-Length: ${inner.length}`, 'Connection: content-length', 'Connection: close'];
    const head = `${method} /open HTTP/1.1\r\nHost: ${gate.host}\r\n${lines.join('\r\n')}\r\n\r\n`;
    const { answers } = await exchange(gate.address, head + inner);
    expect(answers.map(({ status }) => status)).toEqual([200]);
    expect(upstream.requests.map(({ target, body }) => [target, body.toString()])).toEqual([['/open', inner]]);
  });

  test.each(['GET', 'DELETE', 'POST'])('%s with chunks that Connection names', async (method) => {
    const inner = hidden();
    const lines = ['Transfer-Encoding: chunked', 'Connection: transfer-encoding, close'];
    const head = `${method} /open HTTP/1.1\r\nHost: ${gate.host}\r\n${lines.join('\r\n')}\r\n\r\n`;
    await exchange(gate.address, `${head}${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`);
    expect(upstream.requests.map(({ target, body }) => [target, body.toString()])).toEqual([['/open', inner]]);
  });

  test('two requests in a row are two, in order', async () => {
    const one = (path: string, last = false) =>
      `GET /open/${path} HTTP/1.1\r\nHost: ${gate.host}\r\n${last ? 'Connection: close\r\n' : ''}\r\n`;
    const { answers } = await exchange(gate.address, one('1') + one('2') + one('3', true));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/open/1', '/open/2', '/open/3']);
  });
});
