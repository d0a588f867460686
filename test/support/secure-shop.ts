// A whole shop for a browser as it is deployed: https on the public port of a TLS terminator, the provider on a site of its own,
// an evil sibling (evil.shop.test: another origin, the same site) and an evil stranger (evil.test).
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { makeCertificate } from './certificate.ts';
import { startChromium } from './chromium.ts';
import { startPostern } from './postern.ts';
import type { LocalPostern } from './postern.ts';
import { startRealProvider } from './real-provider.ts';
import type { RealProvider } from './real-provider.ts';
import { appDirectory } from './shop.ts';
import { resolveTestNames } from './test-names.ts';
import { startTlsTerminator } from './tls-terminator.ts';
import { RecordingUpstream } from './upstream.ts';

export interface SecureShop {
  /** The app: `https://app.shop.test:port`. */
  url: string;
  /** The start page of `evil.shop.test` or `evil.test`: empty, for a test to fill. */
  urlOf(hostName: string): string;
  postern: LocalPostern;
  provider: RealProvider;
  api: RecordingUpstream;
  /** A browser without a past. Close it. */
  newBrowser(): Promise<BrowserContext>;
  stop(): Promise<void>;
}

export async function startSecureShop(): Promise<SecureShop> {
  const forgetTestNames = resolveTestNames();
  const certificate = makeCertificate(['app.shop.test', 'evil.shop.test', 'evil.test', 'login.id.test']);
  const directory = await mkdtemp(join(tmpdir(), 'postern-e2e-'));
  const authority = join(directory, 'ca.pem');
  await writeFile(authority, certificate.cert);

  const provider = await startRealProvider({ tls: certificate, host: 'login.id.test' });
  const api = await RecordingUpstream.start();
  const evil = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>Evil</title>');
  }).listen(0, '127.0.0.1');
  await once(evil, 'listening');
  const evilAddress = `http://127.0.0.1:${(evil.address() as AddressInfo).port}`;
  const terminator = await startTlsTerminator(certificate);
  const urlOf = (hostName: string) => `https://${hostName}:${terminator.port}`;
  const { issuer, clientId, clientSecret } = provider;
  const postern = await startPostern(provider, {
    publicUrl: urlOf('app.shop.test'),
    listen: '127.0.0.1:0',
    provider: { issuer, clientId, clientSecret, scopes: ['openid', 'profile'], tls: { ca: { file: authority } } },
    routes: [{ path: '/api', upstream: api.url }],
    spa: { directory: appDirectory },
  });
  terminator.route('app.shop.test', postern.address);
  terminator.route('evil.shop.test', evilAddress);
  terminator.route('evil.test', evilAddress);
  const chromium = await startChromium('--host-resolver-rules=MAP *.test 127.0.0.1');

  return {
    url: urlOf('app.shop.test'),
    urlOf,
    postern,
    provider,
    api,
    async newBrowser() {
      // The browser does not know the certificate. Postern does, and checks it.
      const browser = await chromium.newContext({ ignoreHTTPSErrors: true });
      browser.setDefaultTimeout(60_000);
      return browser;
    },
    async stop() {
      await chromium.close();
      await terminator.stop();
      await postern.stop();
      await api.stop();
      await provider.close();
      evil.closeAllConnections();
      evil.close();
      await rm(directory, { recursive: true, force: true });
      forgetTestNames();
    },
  };
}
