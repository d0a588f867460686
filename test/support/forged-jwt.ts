// JWTs as nobody should make them: any header, any claims, any way of signing. By hand, because jose refuses most of it.
import { createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';

export interface SigningKey {
  kid: string;
  privateKey: KeyObject;
  /** The public half, ready to be published. */
  jwk: JsonWebKey;
  /** The same in PEM. */
  pem: string;
}

/** A new RSA key. */
export function newSigningKey(kid: string = randomUUID()): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
  return { kid, privateKey, jwk, pem: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
}

/** `unknown-key` is any key that is not published: the caller gives it. */
export type Signature =
  'valid' | 'broken' | 'none' | 'hs256-client-secret' | 'hs256-public-key' | 'es256' | 'unknown-key';

/** A JWT that is signed in this way; its `alg` follows. */
export function forgeJwt(jwt: {
  header: object;
  claims: object;
  signature: Signature | undefined;
  key: SigningKey;
  clientSecret: string;
}): string {
  const { header, claims, signature, key, clientSecret } = jwt;
  switch (signature) {
    case 'none':
      return unsecuredJwt({ ...header, alg: 'none' }, claims);
    case 'hs256-client-secret':
      return hmacJwt({ ...header, alg: 'HS256' }, claims, clientSecret);
    case 'hs256-public-key':
      return hmacJwt({ ...header, alg: 'HS256' }, claims, key.pem);
    case 'es256': {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      return signJwt({ ...header, alg: 'ES256' }, claims, privateKey);
    }
    case 'broken': {
      const [head = '', payload = '', value = ''] = signJwt(header, claims, key.privateKey).split('.');
      return [head, payload, (value.startsWith('A') ? 'B' : 'A') + value.slice(1)].join('.');
    }
    default:
      return signJwt(header, claims, key.privateKey);
  }
}

/** Signed with SHA-256 by an RSA or P-256 key, whatever the header says. */
export function signJwt(header: object, claims: object, key: KeyObject): string {
  const input = signingInput(header, claims);
  return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

/** Without a signature. */
export function unsecuredJwt(header: object, claims: object): string {
  return `${signingInput(header, claims)}.`;
}

/** With an HMAC, under any secret. */
export function hmacJwt(header: object, claims: object, secret: string): string {
  const input = signingInput(header, claims);
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

function signingInput(header: object, claims: object): string {
  return [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
}
