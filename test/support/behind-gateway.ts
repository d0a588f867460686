// A gateway, and all that stands behind it: Postern, which it asks about each call, Redis, a provider, and an API that also takes WebSockets.
import { randomBytes } from 'node:crypto';
import { freePort } from './free-port.ts';
import type { GatewayKind } from './gateways.ts';
import type { LocalPostern, Postern } from './postern.ts';
import { startPostern } from './postern.ts';
import type { RealProvider } from './real-provider.ts';
import { startRealProvider } from './real-provider.ts';
import type { RedisServer } from './redis.ts';
import { startRedis } from './redis.ts';
import { SocketUpstream } from './socket-upstream.ts';
import { RecordingUpstream } from './upstream.ts';

export interface BehindGateway {
  provider: RealProvider;
  redis: RedisServer;
  api: RecordingUpstream;
  /** What the API does with handshakes. */
  sockets: SocketUpstream;
  postern: LocalPostern;
  /** Postern as browsers see it. */
  site: Postern;
  stop(): Promise<void>;
}

export async function startBehindGateway(kind: GatewayKind): Promise<BehindGateway> {
  const port = await freePort();
  const [provider, redis, api, sockets] = await Promise.all([
    startRealProvider(),
    startRedis(),
    RecordingUpstream.start(),
    SocketUpstream.start(),
  ]);
  api.onUpgrade((request, socket, head) => sockets.take(request, socket, head));
  const postern = await startPostern(provider, {
    publicUrl: `http://localhost:${port}`,
    listen: '127.0.0.1:0',
    forwardAuth: { listen: '127.0.0.1:0' },
    trustedProxies: ['127.0.0.1'],
    redis: { url: redis.url },
    // Each decision asks the store, so that an outage shows at once.
    session: { keys: [randomBytes(32).toString('base64')], nearCache: { enabled: false } },
    routes: [
      { path: '/api', upstream: api.url },
      { path: '/api/reports', upstream: api.url, methods: ['GET'] },
      { path: '/api/health', upstream: api.url, auth: 'none' },
      { path: '/api/catalog', upstream: api.url, auth: 'optional' },
      { path: '/api/live', upstream: api.url, websocket: true },
    ],
  });
  const gateway = await kind.start(port, {
    postern: new URL(postern.address).host,
    decisions: new URL(postern.forwardAuthUrl ?? '').host,
    api: api.authority,
  });
  return {
    provider,
    redis,
    api,
    sockets,
    postern,
    site: { ...postern, address: `http://127.0.0.1:${port}` },
    async stop() {
      await gateway.stop();
      await postern.stop();
      await Promise.all([redis[Symbol.asyncDispose](), provider.close(), api.stop(), sockets.stop()]);
    },
  };
}
