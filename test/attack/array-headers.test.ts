// Heads that are written as an array of names and values, which middleware that wraps writeHead has been known to lose or to mix up (CVE-2025-7339).
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createEndpoints } from '../../src/http/endpoints.ts';
import { createRequestContexts } from '../../src/http/request-context.ts';
import { createSecurityHeaders } from '../../src/http/security-headers.ts';
import { createSessionCookie } from '../../src/session/cookie.ts';
import { createSessions } from '../../src/session/session.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { exchange, valuesOf } from '../support/raw-client.ts';
import { RecordingUpstream } from '../support/upstream.ts';

describe('a proxied answer keeps our headers, each once, whatever the upstream sends (HD-11)', () => {
  let upstream: RecordingUpstream;
  let gate: Gate;

  beforeAll(async () => {
    upstream = await RecordingUpstream.start();
    gate = await startGate({
      publicUrl: 'https://shop.example.com',
      routes: [{ path: '/api', upstream: upstream.url, auth: 'optional', cookies: { response: ['theme'] } }],
    });
  });
  afterAll(async () => {
    await gate.stop();
    await upstream.stop();
  });

  const heads: [name: string, head: string[]][] = [
    ['nothing', []],
    ['a cookie', ['Set-Cookie', 'theme=dark']],
    [
      'two cookies and a list',
      ['Set-Cookie', 'theme=dark', 'Set-Cookie', 'theme=light', 'Vary', 'Accept', 'Vary', 'X'],
    ],
    ['weaker ones of the same names', ['X-Content-Type-Options', 'sniff', 'content-security-policy', 'default-src *']],
  ];

  test.each(heads)('%s', async (_, head) => {
    upstream.answer = (_request, response) => response.writeHead(200, [...head, 'Content-Length', '2']).end('ok');
    const bytes = 'GET /api HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n';
    const { answers } = await exchange(gate.address, bytes);
    expect(answers).toHaveLength(1);
    expect(answers[0]).toMatchObject({ status: 200, body: 'ok' });
    expect(valuesOf(answers[0]!, 'x-content-type-options')).toEqual(['nosniff']);
    expect(valuesOf(answers[0]!, 'content-security-policy')).toEqual([
      "script-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'self'",
    ]);
    expect(valuesOf(answers[0]!, 'vary').join()).toContain('Cookie');
    const cookies = head.filter((_, at) => head[at - 1] === 'Set-Cookie');
    expect(valuesOf(answers[0]!, 'set-cookie')).toEqual(cookies);
  });
});

describe('an answer of ours that writes its head as an array keeps the session cookie and our headers (HD-11)', () => {
  const ownSecrets = ['the secret'];
  const secrets = (): readonly string[] => ownSecrets;
  const cookie = createSessionCookie({
    publicUrl: 'http://localhost:80',
    baseName: 'postern',
    sameSite: 'strict',
    maxAgeMs: () => undefined,
    secrets,
  });
  const store = createMemoryStore({ now: Date.now });
  const sessions = createSessions({ store, cookie, secrets, idleSeconds: 60 });
  const securityHeaders = createSecurityHeaders({ https: false, strictTransportSecurity: false });
  const record = {
    iss: 'i',
    sub: 'alice',
    claims: { sub: 'alice' },
    clientId: 'c',
    createdAt: 0,
    issuedAt: 0,
    device: '',
  };
  let server: Server;

  beforeAll(async () => {
    const begin = createRequestContexts({ trusted: [], randomId: () => 'id', monotonicNow: () => 0 });
    const express = createEndpoints({
      basePath: '/bff',
      securityHeaders,
      endpoints: [
        {
          method: 'GET',
          path: '/array',
          async handler(request, response) {
            await sessions.rotate(request, response, record);
            response.writeHead(200, ['Content-Type', 'text/plain', 'X-One', '1', 'Content-Length', '2']).end('ok');
          },
        },
      ],
      onError: (_error, _request, response, next) => (response.headersSent ? next() : response.status(500).end()),
    });
    server = createServer((request, response) => {
      begin(request);
      express(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
    await store.close();
  });

  test('the client receives each of them once', async () => {
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { answers } = await exchange(address, 'GET /bff/array HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(answers[0]).toMatchObject({ status: 200, body: 'ok' });
    for (const [name, value] of Object.entries({
      ...securityHeaders.own,
      'cache-control': 'no-store',
      'content-type': 'text/plain',
      'x-one': '1',
    })) {
      expect([name, valuesOf(answers[0]!, name)]).toEqual([name, [value]]);
    }
    expect(valuesOf(answers[0]!, 'set-cookie')).toEqual([
      expect.stringMatching(/^postern-80=s%3A.*; SameSite=Strict$/),
    ]);
  });
});
