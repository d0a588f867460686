import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { request } from 'undici';
import { errorCodes, PosternError, statusOf } from '../../../src/errors.ts';
import { createErrorResponse } from '../../../src/http/error-response.ts';
import { createRequestContexts } from '../../../src/http/request-context.ts';
import { createSecurityHeaders } from '../../../src/http/security-headers.ts';

const { sendProblem, sendErrorPage } = createErrorResponse({
  securityHeaders: createSecurityHeaders({ https: true, strictTransportSecurity: 'max-age=31536000' }),
  loginUrl: '/bff/login',
  homeUrl: '/',
});
const begin = createRequestContexts({ trusted: [], randomId: () => 'request-id-1', monotonicNow: () => 0 });
const cause = new Error('connect ECONNREFUSED db.internal.example:6379 password=hunter2');

async function ask(listener: RequestListener, method: 'GET' | 'HEAD' = 'GET') {
  const server = createServer((request, response) => {
    begin(request);
    listener(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    const { statusCode, headers, body } = await request(`http://127.0.0.1:${port}/`, { method, reset: true });
    return { status: statusCode, headers, body: await body.text() };
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

test.each(errorCodes)(
  '%s is problem+json for scripts, with its status twice and no word of its cause (ERR-01, ERR-02)',
  async (code) => {
    const { status, headers, body } = await ask((req, res) => sendProblem(req, res, new PosternError(code, { cause })));
    const problem = JSON.parse(body) as Record<string, unknown>;
    expect(status).toBe(statusOf(code));
    expect(headers).toMatchObject({
      'content-type': 'application/problem+json; charset=utf-8',
      'cache-control': 'no-store',
      vary: 'Cookie',
      'x-content-type-options': 'nosniff',
    });
    expect(problem).toMatchObject({ status, code, requestId: 'request-id-1' });
    expect(problem['type']).toMatch(new RegExp(`[:/#]${code}$`));
    expect(typeof problem['title']).toBe('string');
    expect('loginUrl' in problem).toBe(status === 401);
    expect(body).not.toMatch(/ECONNREFUSED|internal\.example|hunter2/);
  },
);

test.each(errorCodes)('%s is a page with a way on for people, with the same status and code (ERR-02)', async (code) => {
  const { status, headers, body } = await ask((req, res) => sendErrorPage(req, res, new PosternError(code, { cause })));
  expect(status).toBe(statusOf(code));
  expect(headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
  expect(body).toContain(code);
  expect(body).toContain('request-id-1');
  expect(body).toContain('href="/bff/login"');
  expect(body).not.toMatch(/ECONNREFUSED|internal\.example|hunter2|<script/);
});

test('what belongs to a failure goes with it: Retry-After, Allow', async () => {
  const away = await ask((req, res) =>
    sendProblem(req, res, new PosternError('session_store_unavailable', { retryAfterSeconds: 2 })),
  );
  expect(away.headers['retry-after']).toBe('2');
  const method = await ask((req, res) =>
    sendProblem(req, res, new PosternError('method_not_allowed', { headers: { allow: 'GET' } })),
  );
  expect(method.headers['allow']).toBe('GET');
});

test('HEAD gets the head alone', async () => {
  const { status, headers, body } = await ask(
    (req, res) => sendProblem(req, res, new PosternError('no_route')),
    'HEAD',
  );
  expect([status, body]).toEqual([404, '']);
  expect(Number(headers['content-length'])).toBeGreaterThan(0);
});

test('a failure in the middle of an answer cuts it off: nobody takes half an answer for a whole one', async () => {
  const broken = ask((req, res) => {
    res.writeHead(200, { 'content-length': '100' });
    res.write('half', () => sendProblem(req, res, new PosternError('internal_error')));
  });
  await expect(broken).rejects.toThrow();
});
