// The API lane behind the real listener, over real sockets, with sessions that were put there instead of logged in: for tests whose subject is the proxying.
import { randomBytes, randomUUID } from 'node:crypto';
import type { Config } from '../../src/config/schema.ts';
import { createConfigSchema } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { createErrorResponse } from '../../src/http/error-response.ts';
import { createRequestContexts } from '../../src/http/request-context.ts';
import { createSecurityHeaders } from '../../src/http/security-headers.ts';
import { PosternError } from '../../src/errors.ts';
import type { Provider } from '../../src/oidc/provider.ts';
import { createApiLane } from '../../src/proxy/api-lane.ts';
import { claimFieldsOf } from '../../src/proxy/claims.ts';
import { createSessionTie } from '../../src/proxy/event-streams.ts';
import { createCounts } from '../../src/proxy/limits.ts';
import { createUpstreamConnections } from '../../src/proxy/upstream-connections.ts';
import { createRouteTable } from '../../src/proxy/routes.ts';
import { createSpa } from '../../src/proxy/spa.ts';
import { createWebSockets } from '../../src/proxy/websocket.ts';
import { startServer } from '../../src/server.ts';
import { createStreams } from '../../src/session/streams.ts';
import { createSessionCookie, hashOf } from '../../src/session/cookie.ts';
import { handleOf } from '../../src/session/handles.ts';
import { createMemoryStore } from '../../src/store/memory.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { createAudit } from '../../src/telemetry/audit.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createAccessTokens } from '../../src/tokens/access-token.ts';
import { createKeyRing } from '../../src/tokens/key-ring.ts';
import { createTokenSeal } from '../../src/tokens/seal.ts';
import { createTokenVault } from '../../src/tokens/token-vault.ts';
import { freePort } from './free-port.ts';
import { newSessionKey } from './postern.ts';
import { signedValue } from './signed-cookie.ts';

export const accessToken = 'TOKCANARY-access';
export const idToken = 'TOKCANARY-id';

const cookieSecret = 'gate-secret';
const cookieSecrets = [cookieSecret];

export interface Gate {
  publicUrl: string;
  /** The listener's own address. */
  address: string;
  /** The `Host` that the gate answers to. */
  host: string;
  cookieName: string;
  /** The Cookie header of a new session; `claims` beside iss and sub. */
  signIn(claims?: Record<string, unknown>): Promise<string>;
  /** New tokens for the session of a Cookie header, as POST /bff/refresh gets them. */
  refresh(cookie: string): Promise<void>;
  /** Ends the session of a Cookie header. */
  signOut(cookie: string): Promise<void>;
  /** Makes the store unreachable, or reachable again. */
  setStoreDown(down: boolean): void;
  /** How often the store was asked for a session. */
  loads(): number;
  /** How often a session was kept alive. */
  slides(): number;
  log: string[];
  metric(name: string): Promise<string[]>;
  stop(): Promise<void>;
}

export interface GateWorld {
  /** Epoch ms, for the store, the tokens and the lane. */
  now?: () => number;
  /** What the provider does when it is asked for new tokens; without it, being asked is a defect. */
  refreshTokens?: Provider['refresh'];
  /** `session.refreshBefore`, in ms, at each moment. */
  refreshBeforeMs?: () => number;
}

/** Starts a gate. `overrides` are top-level keys of the configuration file. */
export async function startGate(overrides: Record<string, unknown>, world: GateWorld = {}): Promise<Gate> {
  const port = await freePort();
  const config = createConfigSchema((source) => new Secret('value' in source ? source.value : '')).parse({
    publicUrl: `http://localhost:${port}`,
    listen: `127.0.0.1:${port}`,
    operations: { listen: '127.0.0.1:0' },
    provider: { issuer: 'http://localhost:9', clientId: 'gate', clientSecret: 'unused' },
    session: { keys: [newSessionKey()] },
    log: { level: 'trace', format: 'json' },
    ...overrides,
  });
  const log: string[] = [];
  const logger = createLogger(config.log, { write: (line: string) => void log.push(line) });
  const metrics = createMetrics();
  const audit = createAudit({ log: logger, handleOf });
  const { publicUrl } = config;
  const cookie = createSessionCookie({
    publicUrl,
    baseName: config.cookie.name,
    sameSite: 'strict',
    maxAgeMs: () => undefined,
    secrets: () => cookieSecrets,
  });
  const securityHeaders = createSecurityHeaders({ https: false, strictTransportSecurity: false });
  const { sendProblem, rawProblem } = createErrorResponse({ securityHeaders, loginUrl: '/bff/login', homeUrl: '/' });
  const { now = Date.now, refreshTokens, refreshBeforeMs = () => 60_000 } = world;
  const { store, faults } = createFaultyStore(now);
  const streams = createStreams({
    store,
    limits: () => ({
      events: { perSession: 32, perProcess: config.limits.streams },
      websocket: { perSession: config.limits.websocketsPerSession, perProcess: config.limits.websockets },
    }),
    now,
    random: Math.random,
  });
  const vault = createTokenVault({
    store,
    seal: createTokenSeal(createKeyRing({ keys: config.session.keys.map((key) => key.reveal()), now })),
    hashOf,
    registration: config.provider,
    nearCache: { enabled: false, maxEntries: 1 },
    onEnd: (h, reason) => streams.endAll(h, reason),
    onHeldEnd: () => undefined,
    tokensNeeded: () => true,
    now,
    metrics,
    log: logger,
  });
  const tokens = createAccessTokens({
    store,
    vault,
    provider: refreshTokens === undefined ? unusedProvider : ({ refresh: refreshTokens } as Provider),
    discardToken: () => undefined,
    refreshBeforeMs,
    now,
    randomId: () => randomBytes(16).toString('base64url'),
    metrics,
    audit,
    log: logger,
  });
  const connections = createUpstreamConnections({ audit });
  const routes = createRouteTable(config.routes);
  const claimNames = claimFieldsOf(routes.routes);
  const lane = createApiLane({
    routes: routes.routes,
    claimNames,
    publicUrl,
    requireHeader: config.csrf.requireHeader,
    cookie,
    tokens,
    vault,
    connections,
    securityHeaders: securityHeaders.proxied,
    limits: config.limits,
    counts: createCounts(),
    tieToSession: createSessionTie({ streams, metrics }),
    now,
    sendProblem,
    metrics,
    log: logger,
  });
  const spa = createSpa({
    settings: config.spa,
    publicUrl,
    cookie,
    claimNames,
    connections,
    securityHeaders,
    endSessionOrigins: () => ['https://id.example.com'],
    randomId: () => randomBytes(16).toString('base64url'),
    sendProblem,
    log: logger,
  });
  const upgrade = createWebSockets({
    routes: routes.routes,
    claimNames,
    spa: config.spa,
    publicUrl,
    cookie,
    tokens,
    vault,
    connections,
    streams,
    securityHeaders: securityHeaders.proxied,
    now,
    sendProblem,
    metrics,
    log: logger,
  });
  const server = await startServer({
    metrics,
    log: logger,
    monotonicNow: () => performance.now(),
    states: () => ({ store: 'up', provider: 'up' }),
    generation: {
      config,
      audit,
      begin: createRequestContexts({
        trusted: config.trustedProxies,
        randomId: randomUUID,
        monotonicNow: () => performance.now(),
      }),
      express: (request, response) => sendProblem(request, response, new PosternError('no_route')),
      routes,
      lane,
      upgrade,
      spa,
      forwardAuth: (request, response) => sendProblem(request, response, new PosternError('no_route')),
      sendProblem,
      rawProblem: (code) => rawProblem(code, randomUUID()),
      admin: undefined,
    },
    parts: {
      started: () => true,
      streams,
      async close() {
        vault.close();
        connections.close();
        await store.close();
      },
    },
  });

  return {
    publicUrl,
    address: server.publicAddress,
    host: new URL(publicUrl).host,
    cookieName: cookie.name,
    async signIn(claims = {}) {
      const sessionId = randomBytes(32).toString('base64url');
      const tokens = {
        accessToken,
        refreshToken: 'TOKCANARY-refresh',
        idToken,
        claims: { iss: config.provider.issuer, sub: 'alice', ...claims },
        scope: 'openid',
        expiresInMs: 3_600_000,
        refreshExpiresInMs: undefined,
      };
      await vault.put(sessionId, tokens, { idleMs: 1_800_000, absoluteMs: 43_200_000 });
      return `${cookie.name}=${signedValue(sessionId, cookieSecret)}`;
    },
    async refresh(cookieHeader) {
      const reading = cookie.read(cookieHeader);
      if (reading.kind === 'valid') await tokens.refreshNow(reading);
    },
    async signOut(cookieHeader) {
      const reading = cookie.read(cookieHeader);
      if (reading.kind === 'valid') await vault.end(reading.h, 'logout');
    },
    setStoreDown: (down) => void (faults.down = down),
    loads: () => faults.loads,
    slides: () => faults.slides,
    log,
    async metric(name) {
      const text = await metrics.registry.metrics();
      return text.split('\n').filter((line) => line.startsWith(name));
    },
    stop: () => server.drain(500),
  };
}

/** What a route of the file needs at least, for unit tests of what is made from it. */
export function routeConfigs(routes: Record<string, unknown>[]): Config['routes'] {
  const schema = createConfigSchema((source) => new Secret('value' in source ? source.value : ''));
  return schema.parse({
    publicUrl: 'https://shop.example.com',
    provider: { issuer: 'https://id.example.com', clientId: 'shop', clientSecret: 'unused' },
    session: { keys: ['unused'] },
    routes,
  }).routes;
}

// The real memory store, with a wire that can be cut.
function createFaultyStore(now: () => number) {
  const faults = { down: false, loads: 0, slides: 0 };
  const memory = createMemoryStore({ now });
  const store = {
    ...memory,
    load(h: string) {
      faults.loads += 1;
      return faults.down ? Promise.reject(new StoreUnavailable(new Error('cut'))) : memory.load(h);
    },
    slide(h: string) {
      faults.slides += 1;
      return memory.slide(h);
    },
  };
  return { store, faults };
}

// Tokens of these tests live for an hour: a call of the provider would be a defect.
const unusedProvider = new Proxy({} as Provider, {
  get() {
    throw new Error('The provider was asked');
  },
});
