// RFC 9110 sections 7.6.3 and 8.3, RFC 7239: what Postern says of a request's way to the upstream, whom it believes about it, and what every body of its own is.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startLogin } from '../support/browser-login.ts';
import { exchange, valuesOf } from '../support/raw-client.ts';
import type { RawAnswer } from '../support/raw-client.ts';
import { startRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { appDirectory } from '../support/shop.ts';
import { RecordingUpstream } from '../support/upstream.ts';

let api: RecordingUpstream;
let behindProxies: RelyingParty;
let alone: RelyingParty;

beforeAll(async () => {
  api = await RecordingUpstream.start();
  const routes = [{ path: '/api', upstream: api.url, auth: 'none' }];
  alone = await startRelyingParty({ config: () => ({ routes, spa: { directory: appDirectory } }) });
  behindProxies = await startRelyingParty({ config: () => ({ routes, trustedProxies: ['127.0.0.1', '10.0.0.0/8'] }) });
});
afterAll(async () => {
  await Promise.all([alone[Symbol.asyncDispose](), behindProxies[Symbol.asyncDispose](), api.stop()]);
});

async function send(party: RelyingParty, lines: string[], target = '/api/x'): Promise<RawAnswer> {
  const { host } = new URL(party.postern.publicUrl);
  const head = [`GET ${target} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...lines];
  const { answers } = await exchange(party.postern.address, `${head.join('\r\n')}\r\n\r\n`);
  expect(answers).toHaveLength(1);
  return answers[0]!;
}

describe('who the client is, is said by us or by a proxy that we trust (PRX-05, HD-10)', () => {
  test('a chain from a trusted proxy is kept as far as it vouches for', async () => {
    await send(behindProxies, ['X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.1.2.3', 'Forwarded: for=6.6.6.6']);
    expect(api.last.headers).toMatchObject({
      'x-forwarded-for': '203.0.113.7, 10.1.2.3, 127.0.0.1',
      forwarded: expect.stringMatching(/^for=203\.0\.113\.7;/),
    });
  });

  test('and that client stands in the log', async () => {
    await send(behindProxies, ['X-Forwarded-For: 203.0.113.99']);
    expect(behindProxies.postern.log.at(-1)).toContain('"client":"203.0.113.99"');
  });

  test('from anybody else it is replaced by the address that we see', async () => {
    await send(alone, ['X-Forwarded-For: 6.6.6.6', 'Forwarded: for=6.6.6.6', 'X-Real-IP: 6.6.6.6']);
    expect(api.last.headers).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      forwarded: expect.stringMatching(/^for=127\.0\.0\.1;/),
    });
    expect(JSON.stringify(api.last.rawHeaders)).not.toContain('6.6.6.6');
  });

  test('nobody says under which host and scheme the browser came: publicUrl does', async () => {
    for (const party of [alone, behindProxies]) {
      await send(party, ['X-Forwarded-Host: evil.test', 'X-Forwarded-Proto: https', 'X-Forwarded-Port: 1']);
      const { host, port } = new URL(party.postern.publicUrl);
      expect(api.last.headers).toMatchObject({
        'x-forwarded-host': host,
        'x-forwarded-proto': 'http',
        'x-forwarded-port': port,
      });
    }
  });

  test('a request id is taken over from a trusted proxy only, and only when it can stand in a log', async () => {
    await send(behindProxies, ['X-Request-Id: abcdefgh-12345678']);
    expect(api.last.headers['x-request-id']).toBe('abcdefgh-12345678');
    await send(behindProxies, ['X-Request-Id: {"level":"error"}']);
    expect(api.last.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    await send(alone, ['X-Request-Id: abcdefgh-12345678']);
    expect(api.last.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(api.last.headers['x-request-id']).not.toBe('abcdefgh-12345678');
  });
});

describe('Via names us, once (PRX-07)', () => {
  test('behind those who were there before', async () => {
    await send(alone, ['Via: 1.0 fred, 1.1 p.example.net']);
    expect(api.last.headers.via).toMatch(/^1\.0 fred, 1\.1 p\.example\.net, 1\.1 postern-[0-9a-f]{8}$/);
  });

  test('a request that we have sent before goes round no more: 400', async () => {
    await send(alone, []);
    const via = api.last.headers.via!;
    const { length } = api.requests;
    for (const seen of [via, `1.0 fred, ${via}`, `${via}, 1.1 nginx`]) {
      expect([seen, (await send(alone, [`Via: ${seen}`])).status]).toEqual([seen, 400]);
    }
    expect(api.requests).toHaveLength(length);
  });

  test('another Postern on the way is no loop', async () => {
    await send(alone, []);
    expect((await send(behindProxies, [`Via: ${api.last.headers.via!}`])).status).toBe(200);
    expect(api.last.headers.via!.split(', ')).toHaveLength(2);
  });
});

test('every body of ours says what it is and in which character set (HDR-06)', async () => {
  const page = ['Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document', 'Accept: text/html'];
  const json = 'application/json; charset=utf-8';
  const problem = 'application/problem+json; charset=utf-8';
  const html = 'text/html; charset=utf-8';
  const bodies: [target: string, lines: string[], status: number, type: string][] = [
    ['/bff/session', [], 200, json],
    ['/bff/login', [...page, 'Sec-Fetch-Site: cross-site'], 200, html],
    ['/bff/login', [], 403, problem],
    ['/bff/callback?state=x', page, 400, html],
    ['/bff/callback?state=x&state=y', page, 400, html],
    ['/bff/callback?state=x&state=y', [], 400, problem],
    ['/bff/logout', page, 405, html],
    ['/bff/logout', [], 405, problem],
    ['/bff/nothing', page, 404, html],
    ['/bff/nothing', [], 404, problem],
    ['/nothing.js', [], 404, problem],
    ['/api/%2e%2e/x', [], 400, problem],
    ['/api/x', ['X'], 400, problem],
    ['/api/x', [`X: ${'x'.repeat(40_000)}`], 431, problem],
    ['/', page, 200, html],
  ];
  for (const [target, lines, status, type] of bodies) {
    const answer = await send(alone, lines, target);
    expect([target, answer.status, valuesOf(answer, 'content-type')]).toEqual([target, status, [type]]);
    expect(answer.body).not.toBe('');
  }
});

test('an answer of ours without a body names no content type (HDR-06)', async () => {
  const browser = alone.openBrowser();
  const callback = await alone.op.authorize(await startLogin(browser));
  const answer = await browser.step(callback, { from: alone.op.issuer });
  expect([answer.status, answer.body, answer.headers['content-type']]).toEqual([303, '', undefined]);
});
