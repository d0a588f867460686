// What faces the browsers in front of Postern: the recipes of examples/deployment, in the real programs.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { describeOn } from '../support/describe-on.ts';
import { openEvents } from '../support/event-stream.ts';
import { freePort } from '../support/free-port.ts';
import type { Gateway } from '../support/gateway-programs.ts';
import { frontKinds } from '../support/gateways.ts';
import type { FrontKind } from '../support/gateways.ts';
import type { LocalPostern, Postern } from '../support/postern.ts';
import { startPostern } from '../support/postern.ts';
import { startRealProvider } from '../support/real-provider.ts';
import type { RealProvider } from '../support/real-provider.ts';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { openSocket } from '../support/socket-client.ts';
import { SocketUpstream } from '../support/socket-upstream.ts';
import { RecordingUpstream } from '../support/upstream.ts';

for (const kind of frontKinds) describeOn(`behind ${kind.name}`, kind.absence, () => claims(kind));

function claims(kind: FrontKind): void {
  let provider: RealProvider;
  let api: RecordingUpstream;
  let sockets: SocketUpstream;
  let postern: LocalPostern;
  let front: Gateway;
  let files: string;
  /** Postern as browsers see it. */
  let site: Postern;
  let alice: SignedIn;

  beforeAll(async () => {
    const port = await freePort();
    files = await mkdtemp(join(tmpdir(), 'postern-app-'));
    await chmod(files, 0o755);
    await writeFile(join(files, 'index.html'), '<!doctype html><title>Shop</title>');
    [provider, api, sockets] = await Promise.all([
      startRealProvider(),
      RecordingUpstream.start(),
      SocketUpstream.start(),
    ]);
    postern = await startPostern(provider, {
      publicUrl: `http://localhost:${port}`,
      listen: '127.0.0.1:0',
      trustedProxies: ['127.0.0.1'],
      spa: { directory: files },
      routes: [
        { path: '/api', upstream: api.url },
        { path: '/api/live', upstream: sockets.url, websocket: true },
      ],
    });
    front = await kind.start(port, {
      postern: new URL(postern.address).host,
      operations: new URL(postern.operationsUrl).host,
      files,
    });
    site = { ...postern, address: `http://127.0.0.1:${port}` };
    alice = await signIn(site, provider);
  }, 180_000);

  afterEach(() => {
    api.reset();
  });

  afterAll(async () => {
    await Promise.all([postern.stop(), provider.close(), api.stop(), sockets.stop()]);
    await rm(files, { recursive: true });
    await front.stop();
  });

  test('a call gets to the API with its token, byte for byte, and nobody can lie about the address', async () => {
    const answer = await alice.call('/api/caf%C3%A9;v=1?q=%20%2f', { headers: { 'x-forwarded-for': '203.0.113.66' } });
    expect(answer.status).toBe(200);
    const { target, headers } = api.requests.at(-1)!;
    expect(target).toBe('/api/caf%C3%A9;v=1?q=%20%2f');
    expect(headers['authorization']).toMatch(/^Bearer ./);
    expect(JSON.stringify(headers)).not.toContain('203.0.113.66');
  });

  test('every address of the app is its index.html, and no call of an API is', async () => {
    const host = new URL(site.publicUrl).host;
    const page = await request(`${site.address}/cart/42`, {
      headers: { host, accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
    });
    expect(await page.body.text()).toContain('<title>Shop</title>');
    const call = await request(`${site.address}/api/orders`, { headers: { host } });
    expect({ status: call.statusCode, body: await call.body.json() }).toMatchObject({
      status: 401,
      body: { code: 'session_required' },
    });
  });

  test('a body larger than what stands in front takes by itself arrives', async () => {
    const { address, publicUrl } = site;
    const sent = Buffer.alloc(3_000_000, 'x');
    const { statusCode, body } = await request(`${address}/api/files`, {
      method: 'POST',
      body: sent,
      headers: {
        host: new URL(publicUrl).host,
        cookie: alice.cookie,
        origin: publicUrl,
        'sec-fetch-site': 'same-origin',
      },
    });
    await body.dump();
    expect(statusCode).toBe(200);
    expect(api.requests.at(-1)!.body.length).toBe(sent.length);
  });

  test('a WebSocket opens', async () => {
    const socket = await openSocket(site, '/api/live/room', { Cookie: alice.cookie });
    socket.send('hello');
    expect(await socket.heard(1)).toEqual(['echo hello']);
    socket.close();
    await socket.ended();
  });

  test('what an API sends piece by piece arrives piece by piece', async () => {
    const { promise: over, resolve: end } = Promise.withResolvers<undefined>();
    api.answer = (_request, response) => {
      response.writeHead(200, { 'content-length': 'first'.length + 'last'.length });
      response.write('first');
      void over.then(() => response.end('last'));
    };
    const { address, publicUrl } = site;
    const { body } = await request(`${address}/api/stream`, {
      headers: { host: new URL(publicUrl).host, cookie: alice.cookie, 'sec-fetch-site': 'same-origin' },
    });
    const pieces: string[] = [];
    for await (const piece of body) {
      pieces.push(String(piece));
      end(undefined);
    }
    expect(pieces).toEqual(['first', 'last']);
  });

  test('events arrive when they happen', async () => {
    const bob = await signIn(site, provider, 'bob');
    const events = await openEvents(bob, site);
    await bob.call('/bff/logout', { method: 'POST', headers: { origin: site.publicUrl } });
    expect((await events.heard('ended', 5_000)).data).toMatchObject({ reason: 'logout' });
    events.abort();
  });
}
