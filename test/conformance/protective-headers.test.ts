// OWASP ASVS 5.0 V3.4 and V14.3: every answer of ours protects the browser and is kept by no cache, whoever makes it: endpoint, lane, files, parser, handshake, gateway's question.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { endpointsOfApp } from '../support/documented-endpoints.ts';
import { exchange, valuesOf } from '../support/raw-client.ts';
import type { RawAnswer } from '../support/raw-client.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { handshakeBytes } from '../support/socket-client.ts';
import { appDirectory } from '../support/shop.ts';

let party: RelyingParty;
let cookie: string;
beforeAll(async () => {
  party = await startRelyingParty({
    config: (_op, api) => ({
      publicUrl: 'https://shop.example.com',
      listen: '127.0.0.1:0',
      forwardAuth: { listen: '127.0.0.1:0' },
      spa: { directory: appDirectory },
      routes: [{ path: '/api', upstream: api.url, methods: ['GET'], websocket: true }],
    }),
  });
  const browser = party.openBrowser();
  await party.logIn(browser);
  cookie = browser.jar.headerFor(new URL(party.postern.publicUrl), { isSameSite: true, isTopLevelRead: true });
});
afterAll(() => party[Symbol.asyncDispose]());

const page = ['Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document', 'Sec-Fetch-Site: none', 'Accept: text/html'];
const call = ['Sec-Fetch-Mode: cors', 'Sec-Fetch-Dest: empty', 'Sec-Fetch-Site: same-origin'];

async function send(start: string, lines: string[], { host = 'shop.example.com', on = party.postern.address } = {}) {
  const head = [`${start} HTTP/1.1`, `Host: ${host}`, ...lines, 'Connection: close'];
  const { answers } = await exchange(on, Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'));
  expect(answers).toHaveLength(1);
  return answers[0]!;
}

/** One value of a field, and only one line of it. */
function valueOf(answer: RawAnswer, name: string): string {
  const values = valuesOf(answer, name);
  expect([name, values.length]).toEqual([name, 1]);
  return values[0]!;
}

function expectProtected(what: string, answer: RawAnswer, { isApp = false } = {}): void {
  const policy = valueOf(answer, 'content-security-policy');
  expect([what, policy]).toEqual([what, expect.stringMatching(/frame-ancestors '(none|self)'/)]);
  expect([what, policy]).toEqual([what, expect.stringMatching(/object-src 'none'/)]);
  expect([what, policy]).toEqual([what, expect.stringMatching(/base-uri '(none|self)'/)]);
  expect([what, valueOf(answer, 'x-content-type-options')]).toEqual([what, 'nosniff']);
  expect([what, valueOf(answer, 'referrer-policy')]).toEqual([
    what,
    expect.stringMatching(/^(no-referrer|same-origin|strict-origin.*)$/),
  ]);
  expect([what, valueOf(answer, 'cross-origin-resource-policy')]).toEqual([what, 'same-origin']);
  expect([what, valueOf(answer, 'cross-origin-opener-policy')]).toEqual([what, 'same-origin']);
  expect([what, Number(/max-age=(\d+)/.exec(valueOf(answer, 'strict-transport-security'))?.[1])]).toEqual([
    what,
    expect.any(Number),
  ]);
  expect(Number(/max-age=(\d+)/.exec(valueOf(answer, 'strict-transport-security'))?.[1])).toBeGreaterThanOrEqual(
    31_536_000,
  );
  expect([what, valueOf(answer, 'cache-control')]).toEqual([
    what,
    isApp ? expect.stringContaining('no-cache') : 'no-store',
  ]);
  for (const name of ['server', 'x-powered-by', 'access-control-allow-origin']) {
    expect([what, name, valuesOf(answer, name)]).toEqual([what, name, []]);
  }
}

test.each(endpointsOfApp().map((row) => row.split(' ') as [method: string, path: string]))(
  '%s %s: asked for by a page, by a script, by nobody and by a stranger (HDR-01, HDR-02, HDR-04, HDR-05, HDR-07, SEC-05)',
  async (method, path) => {
    const target = path.replace(/:\w+/, 'x');
    const strangers = ['Origin: https://evil.test', 'Sec-Fetch-Site: cross-site'];
    for (const lines of [
      page,
      call,
      [],
      strangers,
      [...call, `Cookie: ${cookie.replace(/.$/, 'x')}`],
      [...strangers, `Cookie: ${cookie}`],
    ]) {
      for (const asked of [method, 'PUT', 'HEAD']) {
        // A stream of events does not end by itself, and is looked at in its own tests.
        if (path === '/bff/events' && lines === call && asked === 'GET') continue;
        const answer = await send(`${asked} ${target}`, [
          ...lines,
          ...(asked === 'GET' || asked === 'HEAD' ? [] : ['Content-Length: 0']),
        ]);
        // What is framed by the provider is framed by it alone.
        if (target !== '/bff/frontchannel-logout') expectProtected(`${asked} ${target} ${answer.status}`, answer);
      }
    }
  },
);

test('what is refused before anybody has looked at it, and what is refused last (HDR-01, HDR-02, HDR-05, HDR-07, SEC-05)', async () => {
  const { host, address } = { host: 'shop.example.com', address: party.postern.address };
  const refused: [what: string, status: number, answer: RawAnswer][] = [
    ['a foreign host', 421, await send('GET /', [], { host: 'evil.test' })],
    ['a header that is none', 400, await send('GET /', ['no header'])],
    ['a head that is too large', 431, await send('GET /', [`X: ${'x'.repeat(64 * 1024)}`])],
    ['a path with a second reading', 400, await send('GET /api/../x', [])],
    ['two framings', 400, await send('POST /api', ['Content-Length: 1', 'Transfer-Encoding: chunked'])],
    ['no session', 401, await send('GET /api/x', call)],
    ['another site', 403, await send('GET /api/x', ['Sec-Fetch-Site: cross-site', `Cookie: ${cookie}`])],
    ['a method that is not taken', 405, await send('DELETE /api/x', [...call, `Cookie: ${cookie}`])],
    ['a tunnel', 405, await send('CONNECT evil.test:443', [])],
    ['a file that is not there', 404, await send('GET /nothing.js', call)],
    [
      'a handshake from elsewhere',
      403,
      (
        await exchange(
          address,
          handshakeBytes({ ...party.postern }, '/api/x', { Origin: 'https://evil.test', Host: host }),
        )
      ).answers[0]!,
    ],
    ['a question without a subject', 400, await send('GET /', [], { on: party.postern.forwardAuthUrl! })],
  ];
  for (const [what, status, answer] of refused) {
    expect([what, answer.status]).toEqual([what, status]);
    expectProtected(what, answer);
  }
});

test('the app itself, on every path of it (HDR-01, HDR-04, HDR-05, HDR-07, S-03)', async () => {
  for (const path of ['/', '/cart', '/deep/in/the/app']) {
    expectProtected(path, await send(`GET ${path}`, page), { isApp: true });
  }
});

test('an answer of the API is kept by no shared cache, runs no script, and nothing is sniffed in it (HDR-02, HDR-03, HDR-05)', async () => {
  for (const said of [undefined, 'public, max-age=60', 'max-age=60', 's-maxage=60', 'immutable', 'no-transform']) {
    party.api.answer = (_request, response) => {
      if (said !== undefined) response.setHeader('cache-control', said);
      response.end('ok');
    };
    const answer = await send('GET /api/x', [...call, `Cookie: ${cookie}`]);
    expect([said, answer.status, valuesOf(answer, 'x-content-type-options')]).toEqual([said, 200, ['nosniff']]);
    const kept = valueOf(answer, 'cache-control');
    expect([said, kept]).toEqual([said, expect.stringMatching(/private|no-store/)]);
    expect([said, kept]).toEqual([said, expect.not.stringMatching(/public|s-maxage/)]);
    expect(valuesOf(answer, 'vary').join()).toMatch(/cookie/i);
  }
  party.api.reset();
});
