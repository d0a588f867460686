import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { canonicalPath } from '../../../src/proxy/canonical-path.ts';
import { createRouteTable } from '../../../src/proxy/routes.ts';
import { routeConfigs } from '../../support/gate.ts';
import { leastMs } from '../../support/stopwatch.ts';

const table = createRouteTable(
  routeConfigs([
    { path: '/api', upstream: 'http://orders:8080' },
    { path: '/api/health', upstream: 'http://orders:8080', auth: 'none' },
    { path: '/api/catalog', upstream: 'http://catalog:8080/v1/', auth: 'optional', stripPath: true },
    { path: '/files', upstream: 'https://[2001:db8::1]/store', encodedSlash: 'pass' },
  ]),
);

function matched(path: string): string {
  const match = table.match(path);
  return match.kind === 'route' ? match.route.config.path : match.kind;
}

describe('the longest path wins, on segment boundaries (RT-06)', () => {
  test.each([
    ['/api', '/api'],
    ['/api/', '/api'],
    ['/api/orders', '/api'],
    ['/api/health', '/api/health'],
    ['/api/health/deep', '/api/health'],
    ['/api/healthy', '/api'],
    ['/apixyz', 'none'],
    ['/ap', 'none'],
    ['/', 'none'],
    ['/public/api', 'none'],
  ])('%s → %s', (path, route) => {
    expect(matched(path)).toBe(route);
  });

  test('what is not canonical is matched as well, since links are asked about too', () => {
    expect([matched('/api/100%'), matched('/100%'), matched('/api/%FF')]).toEqual(['/api', 'none', '/api']);
  });

  test('a route at the root takes what no other route takes', () => {
    const withRoot = createRouteTable(
      routeConfigs([
        { path: '/', upstream: 'http://a' },
        { path: '/api', upstream: 'http://b' },
      ]),
    );
    const pathOf = (path: string) => {
      const match = withRoot.match(path);
      return match.kind === 'route' ? match.route.config.path : match.kind;
    };
    expect([pathOf('/'), pathOf('/x'), pathOf('/api'), pathOf('/apix')]).toEqual(['/', '/', '/api', '/']);
  });
});

describe('a path that a careless server reads as another route belongs to none (RT-05)', () => {
  test.each([
    '/API/x',
    '/Api/health',
    '/api/Health',
    '/api/health;x=1',
    '/api/health.',
    '/api/health%20',
    '/api/health%3Bx',
    '/api;x/health',
    '/api./health',
    '/api%2Fhealth',
    '/api/;x/health',
    '/;/api/orders',
    // Letters, slashes and semicolons of full width, as some servers and file systems fold them.
    '/api/%EF%BD%88ealth',
    '/api%EF%BC%8Fhealth',
    '/;x%EF%BC%8F.files/files',
    '/api/%3b%EF%BC%8Fx/health',
    '/%3b%EF%BC%8Fhealth/files',
    '/api/health%EF%BC%9Bx',
    '/api/x/%EF%BC%8E%EF%BC%8E/health',
    '/api/x%EF%BC%BC%EF%BC%8E%EF%BC%8E%EF%BC%BChealth',
    '/api/orders/%E2%80%A5',
    // Decoded twice.
    '/api/%2568ealth',
    '/api%2520/health',
    '/api/%25EF%25BD%2588ealth',
    // What folding makes an escape or a delimiter, before or after ;parameters are dropped.
    '/api%EF%BC%852Fhealth',
    '/api/%25%EF%BC%92Fhealth',
    '/;a%EF%BC%8Fb/%EF%BC%8Fapi',
    '/%EF%BC%9B%EF%BC%852Fy/%EF%BC%8561pi',
    '/%25%EF%BC%93b%EF%BC%8Fy/files',
    '/%EF%BC%9B%25EF%25BC%258Fx/api',
  ])('%s', (path) => {
    expect(matched(path)).toBe('ambiguous');
  });

  test.each([
    ['/api/Orders', '/api'],
    ['/api/orders;v=1', '/api'],
    ['/api/orders/a.', '/api'],
    ['/files/a%2Fb', '/files'],
    ['/About', 'none'],
    ['/api/%C3%89t%C3%A9', '/api'],
    ['/api/100%25', '/api'],
    ['/api/%25zz%2541', '/api'],
    ['/api/%EF%BD%81%E2%80%A6', '/api'],
    // Percent signs, slashes and semicolons of full width.
    ['/api/100%EF%BC%85', '/api'],
    ['/api/%EF%BC%A1%EF%BC%8F%EF%BC%A2', '/api'],
    ['/api/x%EF%BC%9Bhealth', '/api'],
    ['/items/%EF%BC%A1%EF%BC%8F%EF%BC%A2', 'none'],
  ])('%s is the same for every server: %s', (path, route) => {
    expect(matched(path)).toBe(route);
  });

  test('nine kinds of back end see the route that was decided (differential)', () => {
    const piece = fc.constantFrom(
      '/',
      'api',
      'API',
      'health',
      'files',
      ';x',
      '.',
      '%20',
      '%2F',
      '%3b',
      '%EF%BC%8F',
      '%EF%BC%9B',
      '%EF%BC%852F',
      '%EF%BD%81pi',
      '%2541pi',
      '_',
      'orders',
      'catalog',
    );
    const path = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`);
    const express = (text: string) => decodeURIComponent(text).toLowerCase();
    const servlet = (text: string) => decodeURIComponent(text).replace(/;[^/]*/g, '');
    const decodingFileSystem = (text: string) =>
      servlet(text)
        .toLowerCase()
        .replace(/[. ]+(?=\/|$)/g, '')
        .replace(/\/+/g, '/');
    const folding = (text: string) => decodeURIComponent(text).normalize('NFKC').toLowerCase();
    const decodingTwice = (text: string) => decodeURIComponent(express(text));
    const foldingServlet = (text: string) => folding(text).replace(/;[^/]*/g, '');
    const servletFolding = (text: string) => servlet(text).normalize('NFKC').toLowerCase();
    const foldingThenDecoding = (text: string) => decodeURIComponent(folding(text));
    const servletFoldingThenDecoding = (text: string) => servlet(decodeURIComponent(servletFolding(text)));
    const backEnds = [
      ...[express, servlet, decodingFileSystem, folding, decodingTwice],
      ...[foldingServlet, servletFolding, foldingThenDecoding, servletFoldingThenDecoding],
    ];
    fc.assert(
      fc.property(path, (text) => {
        if (canonicalPath(text).kind === 'malformed') return;
        const decided = matched(text);
        if (decided === 'ambiguous') return;
        for (const backEnd of backEnds) {
          const seen = backEnd(text).replace(/\/{2,}/g, '/');
          // What a back end sees as a stricter or looser place than we decided would be a bypass.
          expect(`${text} ${naiveMatch(seen)}`).toBe(`${text} ${decided}`);
        }
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('what the upstream gets', () => {
  const upstreamUrl = (path: string): string | undefined => {
    const match = table.match(path);
    return match.kind === 'route' ? match.route.upstreamPath(path) : undefined;
  };

  test.each([
    ['/api/orders', '/api/orders'],
    ['/api/catalog/1', '/v1/1'],
    ['/api/catalog', '/v1'],
    ['/api/catalog/', '/v1/'],
    ['/files/a%2Fb', '/store/files/a%2Fb'],
  ])('%s → %s', (path, expected) => {
    expect(upstreamUrl(path)).toBe(expected);
  });

  test('a stripped path is never empty', () => {
    const [route] = createRouteTable(routeConfigs([{ path: '/api', upstream: 'http://a', stripPath: true }])).routes;
    expect(route?.upstreamPath('/api')).toBe('/');
  });

  test.each([
    ['/shop', { rewrite: '/v2' }, '/shop/orders/1', '/v2/orders/1'],
    ['/shop', { rewrite: '/v2' }, '/shop', '/v2'],
    ['/shop', { rewrite: '/v2' }, '/shop/', '/v2/'],
    ['/shop', { rewrite: '/' }, '/shop', '/'],
    ['/shop', { rewrite: '/' }, '/shop/orders', '/orders'],
    ['/', { rewrite: '/v2' }, '/orders', '/v2/orders'],
    ['/', { rewrite: '/v2' }, '/', '/v2/'],
    ['/shop', { rewrite: '/v2', upstream: 'http://a/base/' }, '/shop/orders', '/base/v2/orders'],
    ['/shop', { upstream: 'unix:/run/shop.sock' }, '/shop/orders', '/shop/orders'],
    ['/shop', { upstream: 'unix:/run/shop.sock', rewrite: '/v2' }, '/shop/orders', '/v2/orders'],
    ['/shop', { upstream: 'unix:/run/shop.sock', stripPath: true }, '/shop', '/'],
  ])('route %s with %j: %s → %s', (path, settings, asked, expected) => {
    const [route] = createRouteTable(routeConfigs([{ path, upstream: 'http://a', ...settings }])).routes;
    expect(route?.upstreamPath(asked)).toBe(expected);
  });

  test('whatever is asked, what is rewritten is as canonical as what came (RT-05)', () => {
    const segment = fc.constantFrom('a', 'A.b', '..a', '%20', '%C3%BC', ';x', '-', '~');
    const rest = fc.array(segment, { maxLength: 4 }).map((segments) => segments.map((text) => `/${text}`).join(''));
    fc.assert(
      fc.property(fc.constantFrom('/', '/v2', '/v2/x'), rest, fc.boolean(), (rewrite, below, slash) => {
        const asked = `/shop${below}${slash ? '/' : ''}`;
        if (canonicalPath(asked).kind === 'malformed') return;
        const [route] = createRouteTable(routeConfigs([{ path: '/shop', upstream: 'http://a', rewrite }])).routes;
        expect(canonicalPath(route!.upstreamPath(asked))).toMatchObject({ kind: 'canonical' });
      }),
    );
  });

  test('a socket is connected to by its path, and called localhost', () => {
    const [route] = createRouteTable(routeConfigs([{ path: '/shop', upstream: 'unix:/run/shop.sock' }])).routes;
    expect(route?.upstream).toMatchObject({ protocol: 'http:', socketPath: '/run/shop.sock', authority: 'localhost' });
  });

  test('an IPv6 upstream is connected to without brackets and named with them', () => {
    const match = table.match('/files');
    expect(match.kind === 'route' && match.route.upstream).toEqual({
      server: 'https://[2001:db8::1]',
      protocol: 'https:',
      hostname: '2001:db8::1',
      port: 443,
      authority: '[2001:db8::1]',
      basePath: '/store',
    });
  });
});

test('a hostile 8 KB path is matched in less than 50 ms (DL-05)', () => {
  for (const unit of ['.', '/a.', '%20', ';', '/;', 'A.', '%2F', 'A%20.', '%3B%EF%BC%8F', '%25EF%25BC%259B']) {
    const path = `/api/A${unit.repeat(8192 / unit.length)}x`;
    expect(leastMs(() => table.match(path))).toBeLessThan(50);
  }
});

function naiveMatch(path: string): string {
  const prefixes = ['/api/catalog', '/api/health', '/files', '/api'];
  return prefixes.find((prefix) => path === prefix || path.startsWith(`${prefix}/`)) ?? 'none';
}
