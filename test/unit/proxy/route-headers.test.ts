// What the `headers` of a route make of the fields that pass.
import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import { claimFieldsOf } from '../../../src/proxy/claims.ts';
import { createRouteHeaders } from '../../../src/proxy/route-headers.ts';
import { createRouteTable } from '../../../src/proxy/routes.ts';
import { routeConfigs } from '../../support/gate.ts';

const alice = { iss: 'https://id.example.com', sub: 'alice', roles: ['admin', 'user'] };
const policy = "script-src 'none'";

function headersOf(settings: Record<string, unknown>, otherRoutes: Record<string, unknown>[] = []) {
  const table = createRouteTable(
    routeConfigs([
      { path: '/api', upstream: 'http://orders:8080', ...settings },
      ...otherRoutes.map((other, index) => ({ path: `/other-${index}`, upstream: 'http://orders:8080', ...other })),
    ]),
  );
  const match = table.match('/api');
  if (match.kind !== 'route') throw new Error('There is no such route');
  const { toUpstream, toClient } = createRouteHeaders(match.route, {
    publicUrl: 'https://shop.example.com',
    cookie: { isOwn: () => false },
    securityHeaders: { 'x-content-type-options': 'nosniff', 'content-security-policy': policy },
    claimNames: claimFieldsOf(table.routes),
  });
  const own = { clientAddress: '203.0.113.7', forwardedFor: '203.0.113.7', requestId: 'one', bearer: 'ours' };
  return {
    sent: (headers: IncomingHttpHeaders, claims?: typeof alice) =>
      toUpstream({ headers, httpVersion: '1.1' }, { ...own, claims }),
    answered: (fields: [string, string][]) => {
      const flat = toClient(fields.flat());
      const byName: Record<string, string[]> = {};
      for (let at = 0; at < flat.length; at += 2) (byName[flat[at]!.toLowerCase()] ??= []).push(flat[at + 1]!);
      return byName;
    },
  };
}

describe('headers.request', () => {
  test('what is set replaces what the client sent, whatever Connection says', () => {
    const { sent } = headersOf({ headers: { request: { set: { 'X-Tenant': 'shop', 'X-Forwarded-Prefix': '/api' } } } });
    expect(sent({ 'x-tenant': 'evil', 'x-forwarded-prefix': '/evil', connection: 'x-tenant' })).toMatchObject({
      'x-tenant': 'shop',
      'x-forwarded-prefix': '/api',
    });
  });

  test('what is removed stays here, and the rest passes', () => {
    const { sent } = headersOf({ headers: { request: { remove: ['X-Debug'] } } });
    const headers = sent({ 'x-debug': '1', 'x-other': '1' });
    expect(headers).not.toHaveProperty('x-debug');
    expect(headers).toHaveProperty('x-other', '1');
  });

  test('with a list of what is allowed nothing else of the client passes, save how to read its body', () => {
    const { sent } = headersOf({ headers: { request: { allow: ['Accept'] } }, cookies: { request: ['theme'] } });
    const client = {
      accept: '*/*',
      'content-type': 'text/plain',
      'content-encoding': 'gzip',
      'content-length': '3',
      cookie: 'theme=dark; other=1',
      'user-agent': 'x',
      'x-other': '1',
    };
    expect(Object.keys(sent(client)).sort()).toEqual(
      [
        ...['accept', 'content-type', 'content-encoding', 'content-length', 'cookie', 'host', 'authorization', 'via'],
        ...[
          'x-forwarded-for',
          'x-forwarded-host',
          'x-forwarded-proto',
          'x-forwarded-port',
          'forwarded',
          'x-request-id',
        ],
      ].sort(),
    );
  });

  test('no rule of a route lets a forged statement or a hop’s own field through (PRX-01, PRX-06)', () => {
    const names = ['x-forwarded-user', 'x-real-ip', 'te', 'authorization', 'x_user', 'expect'];
    const { sent } = headersOf({ headers: { request: { allow: ['Accept', ...names] } } });
    const headers = sent({ ...Object.fromEntries(names.map((name) => [name, 'evil'])), accept: '*/*' });
    expect(Object.values(headers)).not.toContain('evil');
    expect(headers.authorization).toBe('Bearer ours');
  });
});

describe('headers.claims', () => {
  const claims = { 'X-User-Id': 'sub', 'X-Roles': 'roles', 'X-Email': 'email' };
  const forged = { 'x-user-id': 'mallory', 'X-Roles': 'owner', 'x-email': 'a@b', x_user_id: 'mallory', 'x.roles': 'x' };

  test('the upstream is told of the user by us alone (PRX-06, HD-01)', () => {
    const { sent } = headersOf({ headers: { claims } });
    const headers = sent(lowerCase(forged), alice);
    expect(headers).toMatchObject({ 'x-user-id': 'alice', 'x-roles': 'admin,user' });
    expect(headers).not.toHaveProperty('x-email');
    expect(Object.values(headers).join()).not.toMatch(/mallory|owner/);
  });

  test('an anonymous call tells of nobody (PRX-06)', () => {
    const { sent } = headersOf({ auth: 'optional', headers: { claims } });
    const headers = sent(lowerCase(forged));
    for (const name of Object.keys(lowerCase(forged))) expect(headers).not.toHaveProperty([name]);
  });

  test('nor can they be forged by way of another route (PRX-06)', () => {
    const { sent } = headersOf({ auth: 'none' }, [{ headers: { claims } }]);
    const headers = sent(lowerCase(forged));
    for (const name of Object.keys(lowerCase(forged))) expect(headers).not.toHaveProperty([name]);
  });

  test('a list of what is allowed does not keep them back', () => {
    const { sent } = headersOf({ headers: { claims, request: { allow: ['X-User-Id'] } } });
    expect(sent({ 'x-user-id': 'mallory' }, alice)).toMatchObject({ 'x-user-id': 'alice', 'x-roles': 'admin,user' });
  });
});

describe('headers.response', () => {
  test('what is set replaces what the upstream says, what is removed stays here', () => {
    const { answered } = headersOf({
      headers: { response: { set: { 'X-Frame-Options': 'DENY' }, remove: ['X-Internal'] } },
    });
    const fields = answered([
      ['X-Frame-Options', 'ALLOWALL'],
      ['x-internal', '1'],
      ['X-Other', '1'],
    ]);
    expect(fields).toMatchObject({ 'x-frame-options': ['DENY'], 'x-other': ['1'] });
    expect(fields).not.toHaveProperty('x-internal');
  });

  test('with a list of what is allowed nothing else passes, save how to read the body and how long to keep it', () => {
    const { answered } = headersOf({ headers: { response: { allow: ['ETag'] } }, cookies: { response: ['lang'] } });
    const fields = answered([
      ...(['ETag', 'Content-Type', 'Content-Encoding', 'Content-Length', 'Content-Range'] as const).map(
        (name): [string, string] => [name, 'x'],
      ),
      ['Cache-Control', 'max-age=5'],
      ['Set-Cookie', 'lang=de'],
      ['X-Internal', '1'],
      ['Server', 'x'],
    ]);
    expect(Object.keys(fields).sort()).toEqual(
      [
        ...[
          'etag',
          'content-type',
          'content-encoding',
          'content-length',
          'content-range',
          'cache-control',
          'set-cookie',
        ],
        ...['vary', 'x-content-type-options', 'content-security-policy'],
      ].sort(),
    );
  });

  test('Cache-Control and Vary that are set keep to the rules for caching (HDR-03)', () => {
    const { answered } = headersOf({
      headers: { response: { set: { 'Cache-Control': 'public, max-age=60', Vary: 'Accept' } } },
    });
    expect(answered([['Cache-Control', 'no-cache']])).toMatchObject({
      'cache-control': ['private, max-age=60'],
      vary: ['Accept, Cookie'],
    });
  });
});

describe('contentSecurityPolicy', () => {
  const theirs: [string, string] = ['Content-Security-Policy', "default-src 'self'"];

  test('unless the route says otherwise no script of an answer runs (HD-07)', () => {
    expect(headersOf({}).answered([theirs])['content-security-policy']).toEqual([policy]);
  });

  test('a route can have a policy of its own', () => {
    const { answered } = headersOf({ contentSecurityPolicy: "img-src 'self'" });
    expect(answered([theirs])['content-security-policy']).toEqual(["img-src 'self'"]);
  });

  test('or the upstream’s own, and ours where it sends none', () => {
    const { answered } = headersOf({ contentSecurityPolicy: 'upstream', headers: { response: { allow: ['ETag'] } } });
    expect(answered([theirs])['content-security-policy']).toEqual([theirs[1]]);
    expect(answered([['X-Other', 'content-security-policy']])['content-security-policy']).toEqual([policy]);
    expect(answered([theirs])['x-content-type-options']).toEqual(['nosniff']);
  });
});

function lowerCase(headers: Record<string, string>): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
