// A request that could be read in two ways is refused, and nothing that came behind it on its connection is believed: no second answer, no second request,
// wherever the first was going (RFC 9112 section 11.2).
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { connect, exchange } from '../support/raw-client.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { appDirectory } from '../support/shop.ts';
import { until } from '../support/until.ts';

let party: RelyingParty;
let cookie: string;
const mostAtOnce = 5;

beforeAll(async () => {
  party = await startRelyingParty({
    config: () => ({ spa: { directory: appDirectory }, limits: { upstreamRequests: mostAtOnce } }),
  });
  const browser = await party.signedInBrowser();
  cookie = browser.jar.headerFor(new URL(party.postern.publicUrl), { isSameSite: true, isTopLevelRead: true });
});
afterAll(() => party[Symbol.asyncDispose]());
beforeEach(() => {
  party.api.requests.length = 0;
});

function request(method: string, target: string, lines: string[] = [], body = ''): string {
  const { host } = new URL(party.postern.publicUrl);
  const head = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, `Cookie: ${cookie}`, 'Sec-Fetch-Site: same-origin'];
  return `${[...head, ...lines].join('\r\n')}\r\n\r\n${body}`;
}

const places: [name: string, method: string, target: string][] = [
  ['the API lane', 'POST', '/api/x'],
  ['an endpoint of ours', 'POST', '/bff/refresh'],
  ['the end of a session', 'POST', '/bff/logout'],
  ['the app’s files', 'GET', '/'],
  ['nowhere', 'POST', '/nowhere'],
];

const framings: [name: string, lines: string[]][] = [
  ['a length and chunks', ['Content-Length: 4', 'Transfer-Encoding: chunked']],
  ['two lengths', ['Content-Length: 4', 'Content-Length: 40']],
  ['a coding that is not chunked', ['Transfer-Encoding: gzip']],
  ['two codings', ['Transfer-Encoding: gzip, chunked']],
  ['two coding fields', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
  ['a coding with a vertical tab', ['Transfer-Encoding: \x0bchunked']],
  ['an upgrade', ['Connection: upgrade', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']],
];

describe.each(places)('on the way to %s (PRX-08, RT-11)', (_place, method, target) => {
  test.each(framings)('%s: 400, once, and the connection ends', async (_name, lines) => {
    const behind = [request('GET', '/api/smuggled'), request('POST', '/bff/logout'), request('GET', '/')].join('');
    const bytes = request(method, target, lines, `0\r\n\r\n${behind}`);
    const { answers, text } = await exchange(party.postern.address, Buffer.from(bytes, 'latin1'));
    expect(answers.map(({ status }) => status)).toEqual([400]);
    expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(party.api.requests).toEqual([]);
    // The logout behind it was not served.
    const { answers: later } = await exchange(
      party.postern.address,
      request('GET', '/bff/session', ['Connection: close']),
    );
    expect(JSON.parse(later[0]!.body)).toMatchObject({ authenticated: true });
  });

  test('bytes that are no HTTP behind a good request do not get into its answer', async () => {
    const held = Promise.withResolvers<undefined>();
    party.api.answer = (_request, response) => void held.promise.then(() => response.end('{"from":"upstream"}'));
    const socket = connect(party.postern.address);
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk)));
    socket.on('error', () => undefined);
    const safe = method === 'POST' && target === '/bff/logout' ? '/bff/session' : target;
    const sent = safe === target ? method : 'GET';
    socket.write(request(sent, safe, sent === 'POST' ? ['Content-Length: 0'] : []));
    if (target === '/api/x') await until(() => party.api.requests.length === 1);
    socket.write('GARBAGE\x00\r\n\r\nGET /api/smuggled HTTP/1.1\r\n\r\n');
    held.resolve(undefined);
    await new Promise((resolve) => socket.once('close', resolve));
    party.api.reset();
    // At most the good answer and then one refusal, each whole, and never one inside the other.
    expect(text).toMatch(/^(HTTP\/1\.1 (?:(?!HTTP\/1\.1)[^])*){0,2}$/);
    for (const answer of text.split(/(?=HTTP\/1\.1 )/)) {
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      const length = /content-length: (\d+)/i.exec(head)?.[1];
      if (length !== undefined) expect(Buffer.byteLength(body)).toBe(Number(length));
    }
    expect(party.api.requests.filter(({ target: asked }) => asked !== '/api/x')).toEqual([]);
  });
});

describe('behind a call that is under way, nothing is written into its answer', () => {
  const behind: [name: string, bytes: () => string][] = [
    ['CONNECT', () => request('CONNECT', '127.0.0.1:9')],
    ['bytes that are no HTTP', () => 'GARBAGE\x00\r\n\r\n'],
  ];

  test.each(behind)('%s behind one whose body is on its way', async (_name, bytes) => {
    party.api.answer = (_request, response) => void response.writeHead(200, { 'content-length': 1000 }).write('begun');
    const socket = connect(party.postern.address);
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk)));
    socket.on('error', () => undefined);
    socket.write(request('GET', '/api/x'));
    await until(() => text.endsWith('begun'));
    socket.write(bytes());
    await new Promise((resolve) => socket.once('close', resolve));
    party.api.reset();
    expect(text).toMatch(/^HTTP\/1\.1 200 (?:(?!HTTP\/1\.1)[^])*begun$/);
  });

  test.each(behind)('%s behind one that waits for its answer', async (_name, bytes) => {
    party.api.answer = () => undefined;
    const socket = connect(party.postern.address);
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk)));
    socket.on('error', () => undefined);
    socket.write(request('POST', '/api/x', ['Content-Length: 0']));
    await until(() => party.api.requests.length === 1);
    socket.write(bytes());
    await new Promise((resolve) => socket.once('close', resolve));
    party.api.reset();
    expect(text).toBe('');
  });
});

test('good requests in a row are answered in their order, whoever serves them', async () => {
  const bytes = [
    request('GET', '/api/one'),
    request('GET', '/bff/session'),
    request('GET', '/nowhere.js'),
    request('GET', '/api/two', ['Connection: close']),
  ];
  const { answers } = await exchange(party.postern.address, bytes.join(''));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 200]);
  expect(party.api.requests.map(({ target }) => target)).toEqual(['/api/one', '/api/two']);
});

test('who asks five things in a row and hangs up holds no place at the upstream afterwards, and is under way no longer', async () => {
  const activeNow = async () => (await party.postern.metric('http_server_active_requests'))[0];
  const activeBefore = await activeNow();
  party.api.answer = () => undefined;
  for (let round = 1; round <= 2; round += 1) {
    const asked = party.api.requests.length;
    const socket = connect(party.postern.address);
    socket.on('error', () => undefined);
    const behind = Array.from({ length: mostAtOnce - 1 }, (_, at) => request('GET', `/api/behind-${at}`));
    socket.write([request('GET', '/api/slow'), ...behind].join(''));
    await until(() => party.api.requests.length === asked + mostAtOnce);
    socket.destroy();
    await until(async () => (await activeNow()) === activeBefore);
  }

  // All five places are free: as many as that are let in at the same time.
  const held: (() => void)[] = [];
  party.api.answer = (_request, response) => void held.push(() => response.end());
  const calls = Array.from({ length: mostAtOnce }, () =>
    exchange(party.postern.address, request('GET', '/api/x', ['Connection: close'])),
  );
  await until(() => held.length === mostAtOnce);
  for (const end of held) end();
  const statuses = (await Promise.all(calls)).map(({ answers }) => answers[0]?.status);
  party.api.reset();
  expect(statuses).toEqual(Array.from({ length: mostAtOnce }, () => 200));
});
