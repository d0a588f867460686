// Sessions as a login writes them, through Postern's own code into a real Redis, with tokens of the usual size: what the sizing measurement counts.
import { randomBytes, randomUUID } from 'node:crypto';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { standardProfileClaims } from '../../src/config/session-schema.ts';
import { shownClaims } from '../../src/login/shown-claims.ts';
import type { TokenSet } from '../../src/oidc/token-set.ts';
import { createSessionCookie, hashOf } from '../../src/session/cookie.ts';
import { createSessionIndex } from '../../src/session/session-index.ts';
import type { SessionRecord } from '../../src/session/session.ts';
import { createSessions } from '../../src/session/session.ts';
import { createRedisStore } from '../../src/store/redis.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createKeyRing } from '../../src/tokens/key-ring.ts';
import { createTokenSeal } from '../../src/tokens/seal.ts';
import { createTokenVault } from '../../src/tokens/token-vault.ts';
import { newSessionKey } from '../support/postern.ts';
import { until } from '../support/until.ts';

/** Characters of each token. */
export interface TokenSizes {
  access: number;
  id: number;
  refresh: number;
}

const issuer = 'https://id.example.com/realms/shop';
const clientId = 'shop-bff';
const publicUrl = 'https://shop.example.com';
const idleSeconds = 1_800;
const absoluteSeconds = 43_200;
const browserName =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36';

/** Base64url, as tokens are: nothing in it can be made smaller. */
const random = (characters: number): string => randomBytes(characters).toString('base64url').slice(0, characters);

/** One user each: nobody shares an entry of the index. */
export function typicalTokens(sizes: TokenSizes): TokenSet {
  const sub = randomUUID();
  const name = random(8);
  return {
    accessToken: random(sizes.access),
    refreshToken: random(sizes.refresh),
    idToken: random(sizes.id),
    claims: {
      iss: issuer,
      sub,
      sid: randomUUID(),
      aud: clientId,
      azp: clientId,
      exp: 1_800_000_300,
      iat: 1_800_000_000,
      auth_time: 1_800_000_000,
      nonce: random(43),
      acr: '1',
      name: `${name} Example`,
      given_name: name,
      family_name: 'Example',
      preferred_username: name,
      email: `${name}@example.com`,
      email_verified: true,
      locale: 'en',
      updated_at: 1_800_000_000,
    },
    scope: 'openid profile email',
    expiresInMs: 300_000,
    refreshExpiresInMs: undefined,
  };
}

export type TypicalSessions = Awaited<ReturnType<typeof openTypicalSessions>>;

/** The parts that write and open sessions, wired as a process of Postern wires them. `now` is the near cache's clock, epoch ms. */
export async function openTypicalSessions(options: { url: string; nearCacheEntries: number; now: () => number }) {
  const { url, nearCacheEntries, now } = options;
  const ring = createKeyRing({ keys: [newSessionKey()], now });
  const store = createRedisStore({ url, now: () => performance.now(), random: Math.random });
  const cookie = createSessionCookie({
    publicUrl,
    baseName: 'postern',
    sameSite: 'strict',
    maxAgeMs: () => undefined,
    secrets: () => ring.cookieSecrets(),
  });
  const vault = createTokenVault({
    store,
    seal: createTokenSeal(ring),
    hashOf,
    registration: { issuer, clientId },
    tokensNeeded: () => true,
    nearCache: { enabled: true, maxEntries: nearCacheEntries },
    onEnd: () => undefined,
    onHeldEnd: () => undefined,
    now,
    metrics: createMetrics(),
    log: createLogger({ level: 'error', access: false, format: 'json' }),
  });
  const sessions = createSessions({ store, cookie, secrets: () => ring.cookieSecrets(), idleSeconds });
  const index = createSessionIndex({ store, absoluteSeconds });
  store.subscribe(vault);
  await until(() => store.listening());

  function recordOf({ claims }: TokenSet): SessionRecord {
    const { iss, sub, sid } = claims;
    return {
      iss,
      sub,
      ...(sid !== undefined && { sid }),
      claims: shownClaims(claims, standardProfileClaims),
      clientId,
      createdAt: Date.now(),
      issuedAt: Number(claims['iat']) * 1000,
      device: browserName,
    };
  }

  return {
    store,
    vault,
    /** What the callback does first: the session record, by express-session. Gives the session's id. */
    writeRecord(tokens: TokenSet): Promise<string> {
      const request = Object.assign(new IncomingMessage(new Socket()), { url: '/bff/callback', method: 'GET' });
      const response = new ServerResponse(request);
      return sessions.rotate(request as never, response as never, recordOf(tokens));
    },
    /** And last: the tokens. */
    putTokens: (sessionId: string, tokens: TokenSet) =>
      vault.put(sessionId, tokens, { idleMs: idleSeconds * 1000, absoluteMs: absoluteSeconds * 1000 }),
    addToIndex: (sessionId: string, tokens: TokenSet) => index.add(hashOf(sessionId), recordOf(tokens)),
    async close() {
      vault.close();
      await store.close();
    },
  };
}
