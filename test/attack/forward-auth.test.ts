// The listener that gateways ask, spoken to as by a gateway that passes on whatever a stranger sent (raw sockets). A yes carries a token:
// there is none for a request that another server could read as another one.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { LocalPostern } from '../support/postern.ts';
import { exchange, valuesOf } from '../support/raw-client.ts';
import type { RawAnswer } from '../support/raw-client.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';

let party: RelyingParty;
let postern: LocalPostern;
let cookie: string;
beforeAll(async () => {
  party = await startRelyingParty({
    config: (_op, api) => ({
      forwardAuth: { listen: '127.0.0.1:0' },
      routes: [
        { path: '/api', upstream: api.url },
        { path: '/api/reports', upstream: api.url, methods: ['GET'] },
        { path: '/api/bare', upstream: api.url, token: 'none' },
        { path: '/open', upstream: api.url, auth: 'none', websocket: true },
        { path: '/ws', upstream: api.url, websocket: true },
      ],
    }),
  });
  ({ postern } = party);
  const browser = await party.signedInBrowser();
  cookie = browser.jar.headerFor(new URL(postern.publicUrl), { isSameSite: true, isTopLevelRead: true });
});
afterAll(() => party[Symbol.asyncDispose]());

interface Question {
  target?: string;
  method?: string;
  uri?: string | undefined;
  lines?: string[];
  signedIn?: boolean;
  body?: string;
}

/** Everything that comes back to a question of a gateway. */
async function answersTo({ target = '/forward-auth', method = 'GET', uri = '/api/x', ...more }: Question) {
  const { lines = [], signedIn = true, body = '' } = more;
  const head = [
    `GET ${target} HTTP/1.1`,
    `Host: ${new URL(postern.publicUrl).host}`,
    ...(lines.some((line) => /^x-forwarded-method/i.test(line)) ? [] : [`X-Forwarded-Method: ${method}`]),
    ...(lines.some((line) => /^x-forwarded-uri/i.test(line)) ? [] : [`X-Forwarded-Uri: ${uri}`]),
    ...(signedIn ? [`Cookie: ${cookie}`] : []),
    'Sec-Fetch-Site: same-origin',
    ...(body === '' ? ['Connection: close'] : []),
    ...lines,
  ];
  const bytes = Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`, 'latin1');
  return (await exchange(postern.forwardAuthUrl!, bytes)).answers;
}
async function ask(question: Question): Promise<RawAnswer> {
  const answers = await answersTo(question);
  expect(answers).toHaveLength(1);
  return answers[0]!;
}
const isYes = (answer: RawAnswer): boolean => valuesOf(answer, 'authorization').some((value) => value !== '');

test('the question that all the others vary is answered with a token', async () => {
  const yes = await ask({});
  expect([yes.status, isYes(yes)]).toEqual([200, true]);
});

describe('an address with a second reading (RT-05, BFF-13)', () => {
  test.each([
    '/open/../api/x',
    '/open/%2e%2e/api/x',
    '/api/..%2fadmin',
    '/api/%252e%252e/admin',
    '/api/..;/admin',
    '/api/x/..',
    '//evil.test/api/x',
    '/\\evil.test/api/x',
    'http://evil.test/api/x',
    '/API/x',
    '/%61pi/x',
    '/api/bare;x',
    '/api%2Fx',
    '/api/x#/open',
    '/api/x%00',
    'api/x',
    '*',
    '/api/x, /open',
    '/api/\xe9',
  ])('%s', async (uri) => {
    for (const question of [{ uri }, { target: `/forward-auth${uri}` }]) {
      const answer = await ask(question);
      expect([400, 404]).toContain(answer.status);
      expect(isYes(answer)).toBe(false);
    }
  });
});

describe('what a stranger adds to the gateway’s words (HD-01, HD-02)', () => {
  test.each([
    ['another address', ['X-Forwarded-Uri: /open', 'X-Forwarded-Uri: /api/x'], 400],
    ['another method', ['X-Forwarded-Method: GET', 'X-Forwarded-Method: POST'], 405],
    ['another host', ['X-Forwarded-Host: localhost', 'X-Forwarded-Host: evil.test'], 421],
    ['a host of its own', ['X-Forwarded-Host: evil.test'], 421],
    ['a method that is none', ['X-Forwarded-Method: TRACE'], 405],
    ['a method in another case', ['X-Forwarded-Method: get'], 405],
    ['no method', ['X-Forwarded-Method:'], 405],
  ])('%s: no yes', async (_what, lines, status) => {
    const answer = await ask({ lines });
    expect([answer.status, isYes(answer)]).toEqual([status, false]);
  });

  test('other spellings of the gateway’s words, and other gateways’ words, are not read', async () => {
    const strange = [
      'X_Forwarded_Uri: /open',
      'X-Original-URI: /open',
      'X-Original-URL: /open',
      'X-Rewrite-URL: /open',
    ];
    const answer = await ask({
      signedIn: false,
      lines: [...strange, 'X_Forwarded_Method: GET', 'Forwarded: proto=https'],
    });
    expect([answer.status, isYes(answer)]).toEqual([401, false]);
  });

  test('a bearer token, a token in the address or in a cookie is no session (RT-09)', async () => {
    for (const lines of [['Authorization: Bearer x'], ['Cookie: access_token=x'], ['X-Access-Token: x']]) {
      expect((await ask({ signedIn: false, lines, uri: '/api/x?access_token=x' })).status).toBe(401);
    }
    // Empty, so that a gateway that copies it overwrites the client's.
    const open = await ask({ signedIn: false, uri: '/open', lines: ['Authorization: Bearer x'] });
    expect([open.status, valuesOf(open, 'authorization')]).toEqual([200, ['']]);
    expect(valuesOf(await ask({ uri: '/api/bare' }), 'authorization')).toEqual(['']);
  });

  test('another site’s mark, beside ours or alone, is refused (CSRF-03, CSRF-04)', async () => {
    for (const lines of [['Origin: https://evil.test'], ['Origin: null'], ['Sec-Fetch-Site: cross-site']]) {
      const answer = await ask({ lines });
      expect([lines, answer.status, isYes(answer)]).toEqual([lines, 403, false]);
    }
  });
});

test('a WebSocket of another site is refused, with a session and without, on open routes too (WS-01)', async () => {
  const handshake = ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13'];
  for (const uri of ['/ws', '/open']) {
    for (const lines of [['Origin: https://evil.test'], ['Origin: null'], []]) {
      for (const signedIn of [true, false]) {
        const answer = await ask({ uri, signedIn, lines: [...handshake, ...lines] });
        expect([uri, lines, answer.status, isYes(answer)]).toEqual([uri, lines, 403, false]);
      }
    }
    const ours = await ask({ uri, lines: [...handshake, `Origin: ${postern.publicUrl}`] });
    expect([uri, ours.status]).toEqual([uri, 200]);
  }
});

test.each([
  ['a length and chunks', ['Content-Length: 4', 'Transfer-Encoding: chunked']],
  ['two lengths', ['Content-Length: 4', 'Content-Length: 40']],
  ['two codings', ['Transfer-Encoding: gzip, chunked']],
  ['a coding that is not chunked', ['Transfer-Encoding: gzip']],
  ['two coding fields', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
  ['a space before the colon', ['Content-Length : 4']],
])('with %s there is one refusal, and nothing behind it is answered (PRX-08, PX-03)', async (_what, lines) => {
  const behind = `GET /forward-auth/api/x HTTP/1.1\r\nHost: localhost\r\nCookie: ${cookie}\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n\r\n`;
  const answers = await answersTo({ lines, body: `0\r\n\r\n${behind}` });
  expect(answers.map(({ status }) => status)).toEqual([400]);
  expect(answers.some(isYes)).toBe(false);
});

test('nothing but the question is there: no login, no metrics, no API; and the question is not on the public listener (RT-16, SEC-02)', async () => {
  for (const target of [
    '/',
    '/bff/session',
    '/bff/login',
    '/metrics',
    '/readyz',
    '/admin/sessions',
    '/api/x',
    '/forward-authx',
  ]) {
    const answer = await ask({ target });
    expect([target, answer.status, isYes(answer)]).toEqual([target, 400, false]);
  }
  const { host } = new URL(postern.publicUrl);
  for (const target of ['/forward-auth', '/forward-auth/api/x', '/refusal']) {
    const head = [`GET ${target} HTTP/1.1`, `Host: ${host}`, `Cookie: ${cookie}`, 'X-Forwarded-Uri: /api/x'];
    const { answers } = await exchange(postern.address, `${head.join('\r\n')}\r\nConnection: close\r\n\r\n`);
    expect([target, answers.map(({ status }) => status), answers.some(isYes)]).toEqual([target, [404], false]);
  }
  expect(party.api.requests).toEqual([]);
});
