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
