// How an API behind Postern checks the Bearer token it gets. Postern makes no difference here: any API that takes access tokens
// does one of these two. A JWT is verified on the spot (RFC 9068); an opaque token is looked up at the provider (RFC 7662).
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

/** What an access token says. Instants are seconds since 1970, as in the token. */
export interface AccessTokenClaims {
  sub: string;
  iat: number;
  exp: number;
  /** Absent from a token that was given none. */
  scope?: string;
}

export type AccessTokenCheck =
  { kind: 'valid'; format: 'JWT' | 'opaque'; claims: AccessTokenClaims } | { kind: 'invalid' };

export interface AccessTokenVerifierOptions {
  issuer: string;
  /** Tokens for anybody else are refused. */
  audience: string;
  /** With which the API itself logs in at the introspection endpoint. */
  clientId: string;
  clientSecret: string;
}

/** A check for access tokens of one issuer and one audience, in whichever of the two formats they come. */
export function createAccessTokenVerifier(options: AccessTokenVerifierOptions) {
  const { issuer, audience } = options;
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  const basic = Buffer.from(`${options.clientId}:${options.clientSecret}`).toString('base64');

  async function verifyJwt(token: string): Promise<AccessTokenCheck> {
    try {
      // `typ` keeps ID tokens out, which the same provider signs with the same key.
      const { payload } = await jwtVerify<AccessTokenClaims>(token, keys, {
        issuer,
        audience,
        typ: 'at+jwt',
        algorithms: ['RS256'],
        // `exp` is whole seconds, rounded down, and no two clocks agree (RFC 7519 section 4.1.4).
        clockTolerance: 2,
        requiredClaims: ['sub', 'iat', 'exp'],
      });
      return { kind: 'valid', format: 'JWT', claims: payload };
    } catch (error) {
      // Keys out of reach say nothing about the token.
      if (!(error instanceof errors.JOSEError) || ['ERR_JWKS_TIMEOUT', 'ERR_JOSE_GENERIC'].includes(error.code))
        throw error;
      return { kind: 'invalid' };
    }
  }

  async function introspect(token: string): Promise<AccessTokenCheck> {
    const response = await fetch(`${issuer}/token/introspection`, {
      method: 'POST',
      headers: { authorization: `Basic ${basic}` },
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
      signal: AbortSignal.timeout(5000),
    });
    if (!response.ok) throw new Error(`introspection answered ${response.status}`);
    const answer = (await response.json()) as AccessTokenClaims & { active: boolean; aud?: string | string[] };
    const isForUs = [answer.aud].flat().includes(audience);
    return answer.active && isForUs ? { kind: 'valid', format: 'opaque', claims: answer } : { kind: 'invalid' };
  }

  /** Throws only when the provider cannot be asked. */
  return (token: string): Promise<AccessTokenCheck> => (isJwt(token) ? verifyJwt(token) : introspect(token));
}

function isJwt(token: string): boolean {
  return token.split('.').length === 3;
}
