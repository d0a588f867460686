// Header fields that a client, or an upstream, uses to say what only we may say (raw sockets, so that nothing is tidied up on the way).
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { accessToken, startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { connect, exchange, parseAnswers, valuesOf } from '../support/raw-client.ts';
import type { RawAnswer } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { HostileUpstream, RecordingUpstream } from '../support/upstream.ts';

let upstream: RecordingUpstream;
let hostile: HostileUpstream;
let hostileAnswer = '';
let gate: Gate;
let cookie: string;

beforeAll(async () => {
  upstream = await RecordingUpstream.start();
  hostile = await HostileUpstream.start((socket) => socket.end(hostileAnswer, 'latin1'));
  gate = await startGate({
    routes: [
      { path: '/api', upstream: upstream.url },
      { path: '/hostile', upstream: hostile.url },
    ],
  });
  cookie = await gate.signIn();
});

afterAll(async () => {
  await gate.stop();
  await Promise.all([upstream.stop(), hostile.stop()]);
});

beforeEach(() => {
  upstream.requests.length = 0;
});

/** A signed-in call from our own page, with these header lines on top. */
async function send(lines: string[], { path = '/api', body = '', method = 'GET' } = {}): Promise<RawAnswer> {
  const head = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${gate.host}`,
    'Sec-Fetch-Site: same-origin',
    `Cookie: ${cookie}`,
    'Connection: close',
    ...lines,
  ];
  const { answers } = await exchange(gate.address, Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1'));
  return answers.at(-1) ?? { status: 0, headers: [], body: '' };
}

/** What the upstream received under a name, in any spelling. */
function received(name: string): string[] {
  return upstream.last.rawHeaders.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
}

function expectOurs(): void {
  expect(received('authorization')).toEqual([`Bearer ${accessToken}`]);
  expect(received('cookie')).toEqual([]);
  expect(JSON.stringify(upstream.last.rawHeaders)).not.toContain(gate.cookieName);
}

describe('one Authorization goes upstream, and it is ours (PRX-02, HD-06)', () => {
  test.each([
    [['Authorization: Bearer evil']],
    [['authorization: Basic evil', 'AUTHORIZATION: Bearer evil']],
    [['Proxy-Authorization: Basic evil', 'DPoP: evil', 'Authorization : evil'.replace(' :', ':')]],
    [['Connection: authorization']],
    [['X-Authorization: evil', 'Authorization_: evil']],
  ])('%j', async (lines) => {
    expect((await send(lines)).status).toBe(200);
    expectOurs();
    expect(received('proxy-authorization')).toEqual([]);
    expect(received('dpop')).toEqual([]);
    expect(received('authorization_')).toEqual([]);
  });
});

describe('Expect does not switch anything off (HD-04)', () => {
  test('100-continue, with and without a body', async () => {
    expect((await send(['Expect: 100-continue'])).status).toBe(200);
    expectOurs();
    expect((await send(['Expect: 100-continue', 'Content-Length: 5'], { method: 'POST', body: 'hello' })).status).toBe(
      200,
    );
    expectOurs();
    expect(upstream.last.body.toString()).toBe('hello');
    expect(received('expect')).toEqual([]);
  });

  test('any other expectation, and two of them, are refused or dropped', async () => {
    for (const lines of [['Expect: x'], ['Expect: 100-continue', 'Expect: 100-continue']]) {
      const { status } = await send(lines);
      expect([200, 417]).toContain(status);
      if (status === 200) expectOurs();
    }
  });
});

describe('Connection takes nothing away that we add, and all that it names of the client’s (HD-03, PRX-01, PRX-03)', () => {
  test('a Connection header that names our fields takes away only the client’s', async () => {
    await send([
      'Connection: authorization, x-request-id, cookie, x-forwarded-for, host, via',
      'Connection: X-Foo',
      'X-Foo: 1',
      'Keep-Alive: timeout=1',
      'TE: trailers',
    ]);
    expectOurs();
    for (const name of ['x-foo', 'keep-alive', 'te']) expect(received(name)).toEqual([]);
    for (const name of ['x-request-id', 'x-forwarded-for', 'via', 'forwarded']) expect(received(name)).toHaveLength(1);
    expect(received('host')).toEqual([upstream.authority]);
    expect(received('connection')).toEqual(['keep-alive']);
  });
});

describe('nobody speaks for us about the client (HD-01, HD-02, HD-10, PRX-05, PRX-06)', () => {
  const suffixes = [
    'For',
    'Host',
    'Proto',
    'Port',
    'Prefix',
    'Uri',
    'Server',
    'Ssl',
    'Scheme',
    'User',
    'Email',
    'Groups',
    'Access-Token',
  ];
  test('every X-Forwarded-*, in every spelling', async () => {
    const spellings = suffixes.flatMap((suffix) => {
      const name = `X-Forwarded-${suffix}`;
      return [name, name.toUpperCase(), name.replaceAll('-', '_'), name.replaceAll('-', '.'), `X_Forwarded-${suffix}`];
    });
    await send(
      [...spellings, 'Forwarded', 'X-Real-IP', 'True-Client-IP', 'X-Request-Id'].map((name) => `${name}: evil`),
    );
    expect(JSON.stringify(upstream.last.rawHeaders)).not.toContain('evil');
    expect(received('x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(received('x-forwarded-host')).toEqual([gate.host]);
    expectOurs();
  });

  test('a header that hides behind white space is refused by the parser', async () => {
    for (const line of [
      'X-Forwarded-For : evil',
      ' X-Forwarded-For: evil',
      'X-Forwarded-For\t: evil',
      'X-Forwarded-For\x0b: evil',
    ]) {
      expect([line, (await send([line])).status]).toEqual([line, 400]);
    }
    expect(upstream.requests).toEqual([]);
  });
});

describe('our cookie stays with us, however it is written (HD-05, PRX-04)', () => {
  test('our cookie is dropped in several lines, with odd spacing, quoted and beside others', async () => {
    for (const line of [
      'Cookie: theme=dark',
      'Cookie: a="b; c=d"',
      'Cookie: ;;;',
      `Cookie: ${'x'.repeat(100)}-tx-1=y`,
    ]) {
      await send([line]);
      expectOurs();
    }
  });

  test('a second cookie of its name is no session (CK-12)', async () => {
    for (const line of [`Cookie: ${cookie}`, `Cookie: ${gate.cookieName}=`, `Cookie:  ${gate.cookieName} = x`]) {
      expect([line, (await send([line])).status]).toEqual([line, 401]);
    }
    expect(upstream.requests).toEqual([]);
  });

  test('one that a sibling host slips past the browser’s guard of __Host- is not ours: it neither logs in nor locks out (CK-06)', async () => {
    const slipped = `\u00a0${cookie}`;
    const head = [`GET /api HTTP/1.1`, `Host: ${gate.host}`, 'Sec-Fetch-Site: same-origin', 'Connection: close'];
    const { answers } = await exchange(
      gate.address,
      Buffer.from(`${[...head, `Cookie: a=1; ${slipped}`].join('\r\n')}\r\n\r\n`, 'latin1'),
    );
    expect(answers.map(({ status }) => status)).toEqual([401]);
    expect((await send([`Cookie: ${slipped}`])).status).toBe(200);
    expectOurs();
  });
});

describe('an upstream’s answer has no power over the browser (HD-07, HD-08, CSRF-07, SEC-05)', () => {
  test('cookies of ours, other origins, storage, prompts and banners stay behind', async () => {
    hostileAnswer = [
      'HTTP/1.1 200 OK',
      `Set-Cookie: ${gate.cookieName}=evil; Path=/`,
      `set-cookie: ${gate.cookieName}-tx-1=evil`,
      'Set-Cookie: x=1; Domain=example.com',
      'Access-Control-Allow-Origin: *',
      'Clear-Site-Data: "*"',
      'Content-Security-Policy: default-src *',
      'Strict-Transport-Security: max-age=0',
      'WWW-Authenticate: Basic',
      'Server: evil/1.0',
      'X-Powered-By: evil',
      'Refresh: 0; url=https://evil.example',
      'Postern-Session: ended',
      'Connection: close, X-Secret',
      'X-Secret: 1',
      'Keep-Alive: timeout=1',
      'Content-Length: 2',
      '',
      'ok',
    ].join('\r\n');
    const answer = await send([], { path: '/hostile' });
    expect(answer).toMatchObject({ status: 200, body: 'ok' });
    const names = answer.headers.map(([name]) => name).sort();
    expect(names).toEqual([
      'cache-control',
      'connection',
      'content-length',
      'content-security-policy',
      'date',
      'vary',
      'x-content-type-options',
    ]);
    expect(valuesOf(answer, 'content-security-policy')).toEqual([
      "script-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'self'",
    ]);
  });

  test('line breaks in a value do not become header lines', async () => {
    for (const value of ['a\rSet-Cookie: evil=1', 'a\nSet-Cookie: evil=1', 'a\0b']) {
      hostileAnswer = `HTTP/1.1 200 OK\r\nX-Name: ${value}\r\nContent-Length: 0\r\n\r\n`;
      const answer = await send([], { path: '/hostile' });
      expect(valuesOf(answer, 'set-cookie')).toEqual([]);
      expect([200, 502]).toContain(answer.status);
    }
  });

  test('letters outside ASCII keep their bytes: none of them turns into a line break', async () => {
    hostileAnswer = 'HTTP/1.1 200 OK\r\nX-Name: \xc4\x8a\xe9\r\nContent-Length: 0\r\n\r\n';
    expect(valuesOf(await send([], { path: '/hostile' }), 'x-name')).toEqual(['\xc4\x8a\xe9']);
  });
});

test('a head that is too large is refused before the upstream hears of it (PRX-19)', async () => {
  const answer = await send([`X-Large: ${'x'.repeat(64 * 1024)}`]);
  expect(answer.status).toBe(431);
  expect(upstream.requests).toEqual([]);
});

test('one denied request is answered once, and the connection goes on (RT-11)', async () => {
  const socket = connect(gate.address);
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  const denied = `POST /api HTTP/1.1\r\nHost: ${gate.host}\r\nContent-Length: 5\r\n\r\nhello`;
  socket.write(denied + denied);
  await until(() => parseAnswers(text).length === 2);
  socket.destroy();
  expect(parseAnswers(text).map(({ status }) => status)).toEqual([401, 401]);
  expect(upstream.requests).toEqual([]);
});
