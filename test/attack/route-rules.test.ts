// Rules of routes under attack: a rewritten path that is to lead out of its prefix, claims that a client forges, bodies beyond the limit with more behind them.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { exchange, valuesOf } from '../support/raw-client.ts';
import type { RawAnswer } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { HostileUpstream, RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
/** Answers nothing and counts bytes: what a server without any framing of its own would see. */
let lenient: HostileUpstream;
let gate: Gate;
let cookie: string;

beforeAll(async () => {
  [upstream, lenient] = await Promise.all([RecordingUpstream.start(), HostileUpstream.start(() => undefined)]);
  const claims = { 'X-User-Id': 'sub', 'X-Roles': 'roles', 'X-Name': 'name' };
  gate = await startGate({
    routes: [
      { path: '/v1', upstream: `${upstream.url}/base`, rewrite: '/v2', auth: 'none' },
      { path: '/strip', upstream: `${upstream.url}/inner`, stripPath: true, auth: 'none' },
      { path: '/v1/raw', upstream: `${upstream.url}/base`, rewrite: '/v2/raw', auth: 'none', encodedSlash: 'pass' },
      { path: '/told', upstream: upstream.url, auth: 'optional', headers: { claims } },
      { path: '/small', upstream: upstream.url, auth: 'none', limits: { body: '1kb' } },
      { path: '/lenient', upstream: lenient.url, auth: 'none', limits: { body: '1kb' } },
    ],
  });
  cookie = await gate.signIn({ roles: ['user'], name: 'Alice' });
});
afterAll(async () => {
  await gate.stop();
  await Promise.all([upstream.stop(), lenient.stop()]);
});
beforeEach(() => {
  upstream.requests.length = 0;
  lenient.received = '';
});

interface Sending {
  method?: string;
  lines?: string[];
  body?: string;
}

async function answersTo(target: string, { method = 'GET', lines = [], body = '' }: Sending = {}) {
  const head = [`${method} ${target} HTTP/1.1`, `Host: ${gate.host}`, 'Sec-Fetch-Site: same-origin', ...lines];
  return (await exchange(gate.address, Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1'))).answers;
}
async function send(target: string, sending: Sending = {}): Promise<RawAnswer> {
  const answers = await answersTo(target, { ...sending, lines: ['Connection: close', ...(sending.lines ?? [])] });
  expect(answers).toHaveLength(1);
  return answers[0]!;
}

describe('a path that is rewritten stays below what it is rewritten to (BFF-13, RT-05, TK-16)', () => {
  const tails = [
    '/..',
    '/../x',
    '/%2e%2e/x',
    '/..;/x',
    '/..%2fx',
    '/.%2e%2fx',
    '/x/../../y',
    '//x',
    '//evil.test/x',
    '/\\evil.test',
    '/%5c..%5cx',
    '/@evil.test/',
    '@evil.test/',
    ':80/x',
    '.evil.test/x',
    '/http://evil.test/',
    '/%00',
    '/%0d%0aHost:%20evil.test',
    '#/x',
    '?/../x',
    ';/x',
    '2/x',
    '',
    '/',
  ];
  test.each(tails)('%s', async (tail) => {
    for (const [path, base] of [
      ['/v1', '/base/v2'],
      ['/strip', '/inner'],
      ['/v1/raw', '/base/v2'],
    ] as const) {
      const before = upstream.requests.length;
      const { status } = await send(path + tail);
      const seen = upstream.requests.slice(before);
      expect([path, status, seen.length]).toEqual([path, seen.length === 1 ? 200 : expect.any(Number), seen.length]);
      if (seen.length === 0) expect([400, 404]).toContain(status);
      for (const { target, headers } of seen) {
        expect(headers.host).toBe(upstream.authority);
        expect(target.startsWith(base) && /^(?:[/?]|$)/.test(target.slice(base.length))).toBe(true);
        expect(target).not.toMatch(/^[^?]*(?:\/\.\.|%2e|\\|\/\/|%5c)/i);
      }
    }
  });
});

describe('a claim in a header is said by us alone (PRX-06, HD-01, HD-03)', () => {
  const names = ['X-User-Id', 'X-Roles', 'X-Name'];
  const forgeries: [how: string, lines: string[]][] = [
    ['under their own names', names.map((name) => `${name}: evil`)],
    ['twice', names.flatMap((name) => [`${name}: evil`, `${name}: evil`])],
    ['in other cases', names.flatMap((name) => [`${name.toUpperCase()}: evil`, `${name.toLowerCase()}: evil`])],
    [
      'with underscores',
      names.flatMap((name) => [`${name.replaceAll('-', '_')}: evil`, `${name.replace('-', '_')}: evil`]),
    ],
    ['named in Connection, so that a next hop drops ours', [`Connection: ${names.join(', ')}`]],
    ['named in Connection and sent', [`Connection: ${names.join(', ')}`, ...names.map((name) => `${name}: evil`)]],
    ['in a trailer', ['Trailer: X-User-Id', 'TE: trailers']],
  ];
  test.each(forgeries)('%s', async (_how, lines) => {
    expect((await send('/told', { lines: [...lines, `Cookie: ${cookie}`] })).status).toBe(200);
    const { rawHeaders } = upstream.last;
    const said = rawHeaders.filter(([name]) => /^x[-_](user|roles|name)/i.test(name));
    expect(said.map(([name, value]) => `${name.toLowerCase()}: ${value}`).sort()).toEqual([
      'x-name: Alice',
      'x-roles: user',
      'x-user-id: alice',
    ]);
    expect(JSON.stringify(rawHeaders)).not.toContain('evil');
    // Nobody is signed in: nothing is said.
    await send('/told', { lines });
    expect(upstream.last.rawHeaders.filter(([name]) => /^x[-_](user|roles|name)/i.test(name))).toEqual([]);
  });

  test('in the trailer of a chunked body it does not arrive', async () => {
    const lines = ['Transfer-Encoding: chunked', 'Trailer: X-User-Id', `Cookie: ${cookie}`];
    const body = '5\r\nhello\r\n0\r\nX-User-Id: evil\r\nAuthorization: Bearer evil\r\n\r\n';
    expect((await send('/told', { method: 'POST', lines, body })).status).toBe(200);
    expect([upstream.last.body.toString(), upstream.last.headers['x-user-id']]).toEqual(['hello', 'alice']);
    expect(JSON.stringify(upstream.last.rawHeaders)).not.toContain('evil');
  });
});

describe('a body beyond the limit (DL-06, PRX-08)', () => {
  const smuggled = () => `GET /small/smuggled HTTP/1.1\r\nHost: ${gate.host}\r\nX: `;

  test('is not invited: a client that asks first is told 413 and no 100', async () => {
    const lines = ['Content-Length: 1025', 'Expect: 100-continue', 'Connection: close'];
    const answers = await answersTo('/small', { method: 'POST', lines, body: 'x'.repeat(1025) });
    expect(answers.map(({ status }) => status).filter((status) => status !== 100)).toEqual([413]);
    expect(upstream.requests).toEqual([]);
  });

  test('is not served in part, and a request within it is none', async () => {
    const inner = smuggled() + 'x'.repeat(2_000);
    const lines = [`Content-Length: ${inner.length}`];
    const last = `GET /v1/last HTTP/1.1\r\nHost: ${gate.host}\r\nConnection: close\r\n\r\n`;
    const answers = await answersTo('/small', { method: 'POST', lines, body: inner + last });
    expect(answers.map(({ status }) => status)).toEqual([413, 200]);
    expect(upstream.requests.map(({ target }) => target)).toEqual(['/base/v2/last']);
  });

  test.each([
    ['in one chunk', (bytes: string) => `${bytes.length.toString(16)}\r\n${bytes}\r\n0\r\n\r\n`],
    [
      'in chunks of one byte',
      (bytes: string) => Array.from(bytes, (byte) => `1\r\n${byte}\r\n`).join('') + '0\r\n\r\n',
    ],
    ['in chunks with extensions', (bytes: string) => `${bytes.length.toString(16)};a=b\r\n${bytes}\r\n0;c\r\n\r\n`],
  ])('that does not say so is cut off: the upstream never takes it for a whole one (%s)', async (_how, chunked) => {
    const body = chunked(smuggled() + 'x'.repeat(3_000));
    const lines = ['Transfer-Encoding: chunked', 'Connection: close'];
    const [answer, ...more] = await answersTo('/lenient', { method: 'POST', lines, body });
    expect([answer?.status, more]).toEqual([413, []]);
    await until(() => gate.log.some((line) => line.includes('"payload_too_large"')));
    expect(lenient.received).not.toMatch(/\r\n0\r\n\r\n$/);
    expect(lenient.received.match(/ HTTP\/1\.1\r\nhost:/gi) ?? []).toHaveLength(lenient.received === '' ? 0 : 1);
  });

  test('whose length is no number is refused as what it is', async () => {
    for (const length of ['1e3', '0x400', '1025 ', '+1025', '1025, 1025', ' 99999999999999999999']) {
      const answers = await answersTo('/small', {
        method: 'POST',
        lines: [`Content-Length: ${length}`, 'Connection: close'],
        body: 'x'.repeat(1025),
      });
      expect([length, answers.every(({ status }) => status === 400 || status === 413)]).toEqual([length, true]);
    }
    expect(upstream.requests).toEqual([]);
  });
});

test('what a route sets for the upstream cannot be taken away or doubled by the client (HD-03)', async () => {
  const answer = await send('/told', {
    lines: ['Connection: via, x-forwarded-host, x-request-id', `Cookie: ${cookie}`],
  });
  expect(answer.status).toBe(200);
  for (const name of ['via', 'x-forwarded-host', 'x-request-id', 'authorization']) {
    expect([name, upstream.last.rawHeaders.filter(([key]) => key.toLowerCase() === name).length]).toEqual([name, 1]);
  }
  expect(valuesOf(answer, 'set-cookie')).toEqual([]);
});
