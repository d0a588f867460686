import { expect, test } from '@jest/globals';
import { PosternError } from '../../../src/errors.ts';
import { createErrorResponse } from '../../../src/http/error-response.ts';
import { createSecurityHeaders } from '../../../src/http/security-headers.ts';
import { createEndpointErrors } from '../../../src/login/endpoint-errors.ts';
import { StoreUnavailable } from '../../../src/store/store.ts';
import { createLogger } from '../../../src/telemetry/log.ts';
import { Browser } from '../../support/browser.ts';
import { serve } from '../../support/express-app.ts';

async function failing(error: Error) {
  const lines: string[] = [];
  const log = createLogger(
    { level: 'trace', access: true, format: 'json' },
    { write: (line: string) => void lines.push(line) },
  );
  const securityHeaders = createSecurityHeaders({ https: true, strictTransportSecurity: false });
  const onError = createEndpointErrors({
    ...createErrorResponse({ securityHeaders, loginUrl: '/bff/login', homeUrl: '/' }),
    log,
  });
  await using app = await serve(() => Promise.reject(error), { onError });
  const browser = new Browser(app);
  return { script: await browser.fetch('/'), person: await browser.step('/'), lines };
}

test('a failure is problem+json for a script and a page for a person, with one status and code', async () => {
  const { script, person } = await failing(new PosternError('rate_limited', { retryAfterSeconds: 30 }));
  expect(script).toMatchObject({
    status: 429,
    headers: { 'content-type': 'application/problem+json; charset=utf-8', 'retry-after': '30' },
  });
  expect(person).toMatchObject({
    status: 429,
    headers: { 'content-type': 'text/html; charset=utf-8', 'retry-after': '30' },
  });
  expect(script.json().code).toBe('rate_limited');
  expect(person.body).toContain('rate_limited');
});

test('a store that did not answer is 503 and worth asking again, wherever it was noticed (SES-17)', async () => {
  const { script } = await failing(new StoreUnavailable(new Error('ECONNREFUSED 10.0.0.1:6379')));
  expect(script).toMatchObject({ status: 503, headers: { 'retry-after': '2' } });
  expect(script.json()).toMatchObject({ code: 'session_store_unavailable' });
  expect(script.body).not.toContain('10.0.0.1');
});

test('a defect is 500 without a word about it to the caller, and a line in the log for us (ERR-02, SEC-07)', async () => {
  const { script, person, lines } = await failing(new TypeError('cannot read TOKCANARY of undefined'));
  expect(script.json()).toMatchObject({ status: 500, code: 'internal_error' });
  expect(script.body + person.body).not.toMatch(/TypeError|TOKCANARY|at .*\.ts/);
  expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(['error', 'error']);
});

test('what a caller did wrong is no line in the error log', async () => {
  const { lines } = await failing(new PosternError('csrf_rejected'));
  expect(lines).toEqual([]);
});
