// A whole shop on loopback, and a browser to visit it with: the provider on 127.0.0.1 and everything else on localhost, which makes them two sites, as in real life.
import { join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { startChromium } from './chromium.ts';
import { startPostern } from './postern.ts';
import type { LocalPostern } from './postern.ts';
import { startRealProvider } from './real-provider.ts';
import type { RealProvider } from './real-provider.ts';
import { RecordingUpstream } from './upstream.ts';
import { startWiretap } from './wiretap.ts';

export interface Shop {
  /** Where the browser goes. */
  url: string;
  postern: LocalPostern;
  provider: RealProvider;
  api: RecordingUpstream;
  /** A browser that has never been here. Close it. */
  newBrowser(): Promise<BrowserContext>;
  /** Every byte that Postern has sent to a browser, latin1. */
  heard(): string;
  stop(): Promise<void>;
}

/** The app that the browser tests use. */
export const appDirectory = join(import.meta.dirname, '../e2e/app');

export interface ShopOptions {
  /** 300 unless given. */
  accessTokenTtlSeconds?: number;
  /** Whether the API's answers may be opened by their address. */
  apiOpensAsPage?: boolean;
  /** More routes, beside `/api`. */
  routes?: Record<string, unknown>[];
  /** The `spa` section; the app of the browser tests unless given. */
  spa?: Record<string, unknown>;
}

/** Starts a shop whose API is at `/api`. */
export async function startShop(options: ShopOptions = {}): Promise<Shop> {
  const {
    accessTokenTtlSeconds = 300,
    apiOpensAsPage = false,
    routes = [],
    spa = { directory: appDirectory },
  } = options;
  const provider = await startRealProvider({ accessTokenTtlSeconds });
  const api = await RecordingUpstream.start();
  const wiretap = await startWiretap();
  const url = `http://localhost:${wiretap.port}`;
  const postern = await startPostern(provider, {
    publicUrl: url,
    listen: '127.0.0.1:0',
    routes: [{ path: '/api', upstream: api.url, csrf: { typedUrl: apiOpensAsPage } }, ...routes],
    spa,
  });
  wiretap.listenTo(postern.address);
  const chromium = await startChromium();
  return {
    url,
    postern,
    provider,
    api,
    async newBrowser() {
      const browser = await chromium.newContext();
      browser.setDefaultTimeout(60_000);
      return browser;
    },
    heard: () => wiretap.heard(),
    async stop() {
      await chromium.close();
      await wiretap.stop();
      await postern.stop();
      await api.stop();
      await provider.close();
    },
  };
}
