// What a proxy may not touch on the way: ranges, validators, codings, interim answers, trailers (RFC 9110, RFC 9112).
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { createCaller } from '../support/gate-call.ts';
import { connect, exchange, parseAnswers } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
let gate: Gate;
const { call } = createCaller(() => gate);

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  gate = await startGate({ routes: [{ path: '/api', upstream: upstream.url, auth: 'none' }] });
});
afterAll(async () => {
  await gate.stop();
  await upstream.stop();
});
afterEach(() => upstream.reset());

const compressed = gzipSync(createHash('sha512').update('a file').digest('hex').repeat(50));
const validators = { etag: '"v1"', 'last-modified': 'Fri, 20 Nov 2026 10:00:00 GMT' };

// An API that serves one compressed file, and knows what has not changed.
function serveFile({ headers }: IncomingMessage, response: Parameters<RecordingUpstream['answer']>[1]): void {
  const common = { ...validators, 'content-encoding': 'gzip', 'accept-ranges': 'bytes', vary: 'Accept-Encoding' };
  const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '');
  if (headers['if-none-match'] === validators.etag) {
    response.writeHead(304, common).end();
  } else if (range !== null && [undefined, validators.etag].includes(headers['if-range'] as string | undefined)) {
    const [from, to] = [Number(range[1]), Number(range[2])];
    const part = compressed.subarray(from, to + 1);
    const where = `bytes ${from}-${to}/${compressed.length}`;
    response.writeHead(206, { ...common, 'content-range': where, 'content-length': part.length }).end(part);
  } else {
    response.writeHead(200, { ...common, 'content-length': compressed.length }).end(compressed);
  }
}

test('a compressed body passes byte for byte, with its coding, its length and its validators (PRX-18)', async () => {
  upstream.answer = serveFile;
  const answer = await call('/api/file', { headers: { 'accept-encoding': 'gzip, br;q=0.5' } });
  expect(upstream.last.headers['accept-encoding']).toBe('gzip, br;q=0.5');
  expect(answer.bytes.equals(compressed)).toBe(true);
  expect(answer).toMatchObject({
    status: 200,
    headers: { ...validators, 'content-encoding': 'gzip', 'content-length': String(compressed.length) },
  });
});

test('a range of it is the range that was asked for, and an outdated one is the whole (PRX-18)', async () => {
  upstream.answer = serveFile;
  const part = await call('/api/file', { headers: { range: 'bytes=10-19', 'if-range': '"v1"' } });
  expect(part).toMatchObject({
    status: 206,
    headers: { ...validators, 'content-range': `bytes 10-19/${compressed.length}`, 'content-length': '10' },
  });
  expect(part.bytes.equals(compressed.subarray(10, 20))).toBe(true);
  const whole = await call('/api/file', { headers: { range: 'bytes=10-19', 'if-range': '"v0"' } });
  expect([whole.status, whole.bytes.equals(compressed)]).toEqual([200, true]);
});

test('what has not changed is not sent again (PRX-17, PRX-18)', async () => {
  upstream.answer = serveFile;
  const answer = await call('/api/file', { headers: { 'if-none-match': '"v1"' } });
  expect(answer).toMatchObject({ status: 304, body: '', headers: validators });
  expect(answer.headers['content-length']).toBeUndefined();
});

test('a client that waits for 100 Continue is told to go on, and then gets its answer (PRX-17)', async () => {
  const socket = connect(gate.address);
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  const head = [`POST /api/x HTTP/1.1`, `Host: ${gate.host}`, 'Content-Length: 5', 'Expect: 100-continue'];
  socket.write(`${head.join('\r\n')}\r\nConnection: close\r\n\r\n`);
  await until(() => text === 'HTTP/1.1 100 Continue\r\n\r\n');
  socket.write('hello');
  await once(socket, 'close');
  expect(parseAnswers(text).map(({ status }) => status)).toEqual([100, 200]);
  expect(upstream.last.body.toString()).toBe('hello');
});

test('trailers pass in neither direction, and the bodies before them do', async () => {
  let trailers: unknown;
  upstream.answer = (request, response, body) => {
    trailers = request.trailers;
    response.writeHead(200, { trailer: 'X-Secret' });
    response.write(body);
    response.addTrailers({ 'X-Secret': 'TRAILERCANARY' });
    response.end();
  };
  const head = ['POST /api/x HTTP/1.1', `Host: ${gate.host}`, 'Connection: close', 'Transfer-Encoding: chunked'];
  const { text, answers } = await exchange(
    gate.address,
    `${head.join('\r\n')}\r\nTrailer: Authorization\r\n\r\n5\r\nhello\r\n0\r\nAuthorization: Bearer evil\r\n\r\n`,
  );
  expect(answers).toMatchObject([{ status: 200, body: 'hello' }]);
  expect(trailers).toEqual({});
  expect(text).not.toMatch(/TRAILERCANARY|x-secret/i);
});
