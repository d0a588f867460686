// The app's own files, and a development server in their place, through the real listener.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { get, navigation, script } from '../support/app-request.ts';
import { startGate } from '../support/gate.ts';
import type { Gate } from '../support/gate.ts';
import { valuesOf } from '../support/raw-client.ts';
import { openSocket, refusedHandshake } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { RecordingUpstream } from '../support/upstream.ts';

describe('built files', () => {
  let root: string;
  let gate: Gate;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'postern-spa-'));
    const directory = join(root, '.hidden-parent', 'app');
    await mkdir(join(directory, 'assets'), { recursive: true });
    await Promise.all([
      writeFile(join(root, '.hidden-parent', 'secret.txt'), 'SECRET'),
      writeFile(join(directory, 'index.html'), '<!doctype html><title>App</title>'),
      writeFile(join(directory, 'assets', 'index-BcD3xYz_.js'), 'let a'),
      writeFile(join(directory, 'main.4f3a2b1c.js'), 'let b'),
      writeFile(join(directory, 'main-component.js'), 'let c'),
      writeFile(join(directory, 'favicon.ico'), 'icon'),
      writeFile(join(directory, '.env'), 'SECRET'),
      ...['.git', '.well-known', join('assets', 'i18n')].map((name) => mkdir(join(directory, name))),
    ]);
    await Promise.all([
      writeFile(join(directory, '.git', 'config'), 'SECRET'),
      writeFile(join(directory, '.well-known', 'assetlinks.json'), '[]'),
      writeFile(join(directory, '.well-known', '.hidden'), 'SECRET'),
      writeFile(join(directory, 'assets', 'i18n', 'de.json'), '{}'),
      writeFile(join(directory, 'assets', 'icon-settings.svg'), '<svg/>'),
      writeFile(join(directory, 'assets', 'photo-20261120.jpg'), ''),
      writeFile(join(directory, 'assets', 'logo-Facebook.svg'), '<svg/>'),
      writeFile(join(directory, 'chunk-K3J5HQ7A.js.map'), ''),
    ]);
    gate = await startGate({ spa: { directory } });
  });

  afterAll(async () => {
    await gate.stop();
    await rm(root, { recursive: true });
  });

  test('the app is there, is asked for anew each time, and is well protected (S-03, HDR-01, HDR-07)', async () => {
    const answer = await get(gate, '/');
    expect(answer).toMatchObject({ status: 200, body: '<!doctype html><title>App</title>' });
    expect(valuesOf(answer, 'cache-control')).toEqual(['no-cache']);
    expect(valuesOf(answer, 'content-type')).toEqual(['text/html; charset=utf-8']);
    expect(valuesOf(answer, 'set-cookie')).toEqual([]);
    const [policy] = valuesOf(answer, 'content-security-policy');
    expect(policy).toContain("object-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("form-action 'self' https://id.example.com");
    expect(valuesOf(answer, 'x-powered-by')).toEqual([]);
  });

  test('every address of the app answers a navigation with the app', async () => {
    for (const path of [
      '/cart',
      '/users/7',
      '/users/',
      '/a%20b?x=1',
      '/users/jo.doe',
      '/docs/v1.2',
      '/a%2Fb',
      '/assets',
    ]) {
      const answer = await get(gate, path);
      expect([path, answer.status, answer.body]).toEqual([path, 200, '<!doctype html><title>App</title>']);
      expect(valuesOf(answer, 'cache-control')).toEqual(['no-cache']);
    }
    expect(await get(gate, '/cart', navigation, 'HEAD')).toMatchObject({ status: 200, body: '' });
  });

  test('a script or a file that is not there is missing, not a page', async () => {
    for (const [path, lines] of [
      ['/cart', script],
      ['/assets/gone.js', navigation],
      ['/assets/gone.js.map', navigation],
      ['/favicon.ico/', script],
      ['/%2Fetc%2Fpasswd', script],
      ['/assets%2Findex-BcD3xYz_.js', script],
      [`/${'x'.repeat(300)}.js`, navigation],
      [`${'/x'.repeat(3_000)}.js`, navigation],
      ['/gone.png', script],
      ['/cart', ['Accept: */*']],
    ] as const) {
      const answer = await get(gate, path, [...lines]);
      expect([path, answer.status]).toEqual([path, 404]);
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'no_route' });
      expect(valuesOf(answer, 'cache-control')).toEqual(['no-store']);
    }
  });

  test.each([
    ['/assets/index-BcD3xYz_.js', 'public, max-age=31536000, immutable'],
    ['/main.4f3a2b1c.js', 'public, max-age=31536000, immutable'],
    ['/chunk-K3J5HQ7A.js.map', 'public, max-age=31536000, immutable'],
    ['/main-component.js', 'no-cache'],
    ['/assets/i18n/de.json', 'no-cache'],
    ['/assets/icon-settings.svg', 'no-cache'],
    ['/assets/photo-20261120.jpg', 'no-cache'],
    ['/assets/logo-Facebook.svg', 'no-cache'],
    ['/.well-known/assetlinks.json', 'no-cache'],
    ['/favicon.ico', 'no-cache'],
    ['/index.html', 'no-cache'],
  ])('%s: %s', async (path, cacheControl) => {
    const answer = await get(gate, path, script);
    expect(answer.status).toBe(200);
    expect(valuesOf(answer, 'cache-control')).toEqual([cacheControl]);
    expect(valuesOf(answer, 'x-content-type-options')).toEqual(['nosniff']);
  });

  test('a file that has not changed is not sent again', async () => {
    const [etag] = valuesOf(await get(gate, '/'), 'etag');
    const again = await get(gate, '/', [...navigation, `If-None-Match: ${etag}`]);
    expect(again).toMatchObject({ status: 304, body: '' });
  });

  test('nothing outside the directory, and no dot file, is served', async () => {
    for (const path of [
      '/.env',
      '/../secret.txt',
      '/%2e%2e/secret.txt',
      '/assets/..%2f..%2f..%2fsecret.txt',
      '/..%5csecret.txt',
      '/assets/%2e%2e/.env',
      '/%00',
      '/index.html%00.js',
      '/.git/config',
      '/%2egit/config',
      '/.well-known/.hidden',
      '/assets/.well-known/x',
      '//etc/passwd',
      '/..%c0%af..%c0%afsecret.txt',
      '/%252e%252e%252fsecret.txt',
      '/....//secret.txt',
      '/assets\\..\\..\\secret.txt',
      '/..;/secret.txt',
    ]) {
      for (const lines of [navigation, script]) {
        const answer = await get(gate, path, lines);
        expect([path, [400, 404].includes(answer.status)]).toEqual([path, true]);
        expect(answer.body).not.toMatch(/SECRET|root:/);
      }
    }
  });

  test('files are only read', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const answer = await get(gate, '/', navigation, method);
      expect([answer.status, valuesOf(answer, 'allow')]).toEqual([405, ['GET, HEAD']]);
    }
  });

  test('a policy of one’s own replaces ours', async () => {
    const own = await startGate({
      spa: { directory: join(root, '.hidden-parent', 'app'), contentSecurityPolicy: "default-src 'none'" },
    });
    expect(valuesOf(await get(own, '/'), 'content-security-policy')).toEqual(["default-src 'none'"]);
    await own.stop();
  });
});

test('without an app there is nothing at the addresses of one', async () => {
  const gate = await startGate({});
  const answer = await get(gate, '/');
  expect([answer.status, JSON.parse(answer.body)]).toMatchObject([404, { code: 'no_route' }]);
  await gate.stop();
});

describe('a development server', () => {
  let devServer: RecordingUpstream;
  let gate: Gate;
  const withClaims = [{ path: '/api', upstream: 'http://127.0.0.1:1', headers: { claims: { 'X-User': 'sub' } } }];

  beforeAll(async () => {
    devServer = await RecordingUpstream.start();
    gate = await startGate({ spa: { upstream: devServer.url }, routes: withClaims });
  });

  afterAll(async () => {
    await gate.stop();
    await devServer.stop();
  });

  test('runs its scripts under its own headers', async () => {
    devServer.answer = (_, response) =>
      void response
        .writeHead(200, { 'content-security-policy': "default-src 'self'", 'cache-control': 'max-age=5' })
        .end('<script>');
    const answer = await get(gate, '/src/main.ts?t=1');
    expect(answer).toMatchObject({ status: 200, body: '<script>' });
    expect(devServer.last.target).toBe('/src/main.ts?t=1');
    expect(valuesOf(answer, 'content-security-policy')).toEqual(["default-src 'self'"]);
    expect(valuesOf(answer, 'cache-control')).toEqual(['max-age=5']);
  });

  test('sees neither the session cookie nor a token, and sets no cookie of ours', async () => {
    devServer.answer = (_, response) =>
      void response.writeHead(200, { 'set-cookie': [`${gate.cookieName}=evil`, 'theme=x'] }).end();
    const answer = await get(gate, '/', [
      ...navigation,
      `Cookie: ${await gate.signIn()}; theme=dark`,
      'Authorization: Bearer x',
    ]);
    expect(devServer.last.headers.cookie).toBe('theme=dark');
    expect(devServer.last.headers).not.toHaveProperty('authorization');
    expect(valuesOf(answer, 'set-cookie')).toEqual(['theme=x']);
    expect(gate.loads()).toBe(0);
  });

  test('is told by no client what only routes tell upstreams of the user', async () => {
    devServer.answer = (_, response) => response.end();
    await get(gate, '/', ['X-User: admin', 'X-Theme: dark']);
    expect(devServer.last.headers).toMatchObject({ 'x-theme': 'dark' });
    expect(devServer.last.headers).not.toHaveProperty('x-user');

    const reloading = await SocketUpstream.start();
    const other = await startGate({ spa: { upstream: reloading.url }, routes: withClaims });
    const client = await openSocket(other, '/', { 'X-User': 'admin', 'X-Theme': 'dark' });
    expect(reloading.last.request.headers).toMatchObject({ 'x-theme': 'dark' });
    expect(reloading.last.request.headers).not.toHaveProperty('x-user');
    client.socket.destroy();
    await other.stop();
    await reloading.stop();
  });

  test('that sends our own request back to us gets a refusal, not a circle (RFC 9110 7.6.3)', async () => {
    devServer.answer = (_, response) => response.end();
    await get(gate, '/');
    const before = devServer.requests.length;
    const via = String(devServer.last.headers.via);
    const answer = await get(gate, '/', [`Via: ${via}`]);
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([400, { code: 'bad_request' }]);
    expect(await refusedHandshake(gate, '/', { Via: via })).toMatchObject({ status: 400, code: 'bad_request' });
    expect(devServer.requests).toHaveLength(before);
  });

  test('that is not running is told as a gateway error', async () => {
    const gone = await startGate({ spa: { upstream: 'http://127.0.0.1:1' } });
    const answer = await get(gone, '/');
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([502, { code: 'upstream_unreachable' }]);
    await gone.stop();
  });
});
