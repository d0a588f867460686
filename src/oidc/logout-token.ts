// Logout tokens: what the provider sends when it has ended somebody's session (OpenID Connect Back-Channel Logout 1.0, sections 2.4 and 2.6).
// Anybody can post one, so that each rule stands between a stranger and other people's sessions.
import { decodeJwt } from 'jose';
import type { CompactJWSHeaderParameters, JWTPayload } from 'jose';
import { ProviderFailure } from './failure.ts';
import type { Metadata } from './metadata.ts';
import type { LogoutTokenCheck, ProviderLogout } from './provider.ts';
import { classifyVerification } from './signing-keys.ts';
import type { SigningKeys } from './signing-keys.ts';

const logoutEvent = 'http://schemas.openid.net/event/backchannel-logout';
/** As much as two clocks may differ. */
const leewayMs = 60_000;
const longestId = 512;

export interface LogoutTokenVerifier {
  verify(logoutToken: string, metadata: Metadata): Promise<LogoutTokenCheck>;
}

/** `now` is epoch ms. */
export function createLogoutTokenVerifier(options: {
  keys: SigningKeys;
  clientId: string;
  now: () => number;
}): LogoutTokenVerifier {
  const { keys, clientId, now } = options;
  return {
    async verify(logoutToken, metadata) {
      try {
        checkType(await keys.verify(logoutToken, metadata));
        const claims = decodeJwt(logoutToken);
        checkAddressees(claims, { issuer: metadata.issuer, clientId });
        checkPurpose(claims);
        return { kind: 'valid', logout: { ...idsOf(claims), ...timesOf(claims, now()) } };
      } catch (error) {
        return classifyVerification(error);
      }
    },
  };
}

// The type is recommended only, and older providers write plain JWT; an ID token is known by its claims (section 4.1).
function checkType({ typ }: CompactJWSHeaderParameters): void {
  if (typ !== undefined && !/^(?:application\/)?(?:logout\+)?jwt$/i.test(typ)) throw broken('typ', 'is not logout+jwt');
}

function checkAddressees(claims: JWTPayload, { issuer, clientId }: { issuer: string; clientId: string }): void {
  if (claims.iss !== issuer) throw broken('iss', 'is another issuer');
  const audience: unknown[] = [claims.aud].flat();
  if (!audience.includes(clientId)) throw broken('aud', 'is another client');
  if (audience.length > 1 && claims['azp'] !== clientId) throw broken('aud', 'names others as well');
}

function checkPurpose({ events, nonce }: JWTPayload): void {
  if (!isObject(events) || !Object.hasOwn(events, logoutEvent)) throw broken('events', 'is not about a logout');
  if (!isObject(events[logoutEvent])) throw broken('events', 'does not hold an object');
  // Forbidden here and usual in ID tokens, so that neither can stand for the other.
  if (nonce !== undefined) throw broken('nonce', 'must not be there');
}

function idsOf(claims: JWTPayload): Pick<ProviderLogout, 'iss' | 'jti'> & Owner {
  const { iss = '', jti } = claims;
  const [sub, sid] = [idOrAbsent(claims, 'sub'), idOrAbsent(claims, 'sid')];
  if (!isId(jti)) throw broken('jti', 'is missing or no text');
  if (sid !== undefined) return { iss, jti, sid, sub };
  if (sub === undefined) throw broken('sub', 'and sid are both missing');
  return { iss, jti, sid, sub };
}

type Owner = { sid: string; sub: string | undefined } | { sid: undefined; sub: string };

function idOrAbsent(claims: JWTPayload, name: 'sub' | 'sid'): string | undefined {
  const value = claims[name];
  if (value !== undefined && !isId(value)) throw broken(name, 'is no text');
  return value;
}

function timesOf({ iat, exp }: JWTPayload, now: number): Pick<ProviderLogout, 'issuedAt' | 'validSeconds'> {
  if (!isInstant(iat)) throw broken('iat', 'is missing or no number');
  if (!isInstant(exp)) throw broken('exp', 'is missing or no number');
  if (iat * 1000 > now + leewayMs) throw broken('iat', 'is in the future');
  const validMs = exp * 1000 + leewayMs - now;
  if (validMs <= 0) throw broken('exp', 'has passed');
  return { issuedAt: iat * 1000, validSeconds: Math.ceil(validMs / 1000) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= longestId;
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}

function broken(claim: string, what: string): ProviderFailure {
  return new ProviderFailure('logout_token_invalid', `The logout token is refused: ${claim} ${what}`);
}
