// A small OpenID provider of our own that logs everybody in at once and can be told to break one rule at a time.
// The faults are those of the OpenID Foundation's relying party tests, and of RFC 6749, 9207 and 9700.
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WatchedEndpoints } from './endpoint.ts';
import type { EndpointName } from './endpoint.ts';
import { forgeJwt, newSigningKey, unsecuredJwt } from './forged-jwt.ts';
import type { Signature } from './forged-jwt.ts';

/** What the provider does differently. Everything left out is done right; changed at any time. */
export interface Misbehaviour {
  /** Over the authorization response's parameters; `undefined` leaves one out, an array repeats it. */
  authorizationResponse?: Record<string, string | string[] | undefined>;
  /** Over the ID token's claims at login; `undefined` leaves one out. */
  idToken?: Record<string, unknown>;
  /** The same for ID tokens that a refresh brings. `null`: no ID token there. */
  refreshedIdToken?: Record<string, unknown> | null;
  /** Over the ID token's header. `kid: undefined` leaves it out. */
  idTokenHeader?: Record<string, unknown>;
  /** How the ID token is signed. */
  signature?: Signature;
  /** Over the token response; `undefined` leaves a member out. */
  tokenResponse?: Record<string, unknown>;
  /** The same at a refresh. */
  refreshResponse?: Record<string, unknown>;
  /** Over userinfo's answer. */
  userinfo?: Record<string, unknown>;
  /** Userinfo as `application/jwt`. */
  signedUserinfo?: boolean;
  /** Over the metadata. */
  metadata?: Record<string, unknown>;
  /** Other bytes for the metadata, the keys, the token response or userinfo. */
  body?: Partial<Record<EndpointName, { text: string; type?: string }>>;
}

export type MisbehavingProvider = Awaited<ReturnType<typeof startMisbehavingProvider>>;

interface Content {
  status?: number;
  body: unknown;
  type?: string;
}

const paths: Record<string, EndpointName> = {
  '/.well-known/openid-configuration': 'discovery',
  '/jwks': 'jwks',
  '/token': 'token',
  '/revoke': 'revocation',
  '/userinfo': 'userinfo',
  '/par': 'par',
};

// Making RSA keys is the slowest thing here: one test file shares them.
const ownKey = newSigningKey();
const strangersKey = newSigningKey();

/**
 * Starts it on a port of the system's choosing.
 *
 * `does` is the misbehaviour, to be changed at will; `rotateKeys()` signs with a new key from now on; `authorize(url)` gives the URL
 * that the browser would be sent back to; `issued` are all codes and tokens that it has given out. "No token use" is `endpoints.seen('userinfo').length === 0`.
 */
export async function startMisbehavingProvider() {
  const clientId = 'postern';
  const clientSecret = 'a:b%/+ é';
  const endpoints = new WatchedEndpoints();
  const does: Misbehaviour = {};
  const issued: string[] = [];
  const logins = new Map<string, URLSearchParams>();
  const pushed = new Map<string, URLSearchParams>();
  let keys = [ownKey];

  const server = createServer((request, response) => {
    void answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', issuer);
    if (url.pathname === '/authorize') {
      response.writeHead(302, { location: authorizationResponse(url.searchParams).href }).end();
      return;
    }
    const endpoint = paths[url.pathname];
    if (endpoint === undefined) {
      response.writeHead(404).end();
      return;
    }
    if (await endpoints.meet(endpoint, request, response)) return;
    const other = does.body?.[endpoint];
    if (other !== undefined) {
      response.writeHead(200, { 'content-type': other.type ?? 'application/json' }).end(other.text);
      return;
    }
    const { status = 200, body, type = 'application/json' } = contentOf(endpoint);
    response.writeHead(status, { 'content-type': type }).end(typeof body === 'string' ? body : JSON.stringify(body));
  }

  function contentOf(endpoint: EndpointName): Content {
    switch (endpoint) {
      case 'discovery':
        return { body: { ...metadata(), ...does.metadata } };
      case 'jwks':
        return { body: { keys: keys.map(({ jwk }) => jwk) } };
      case 'token':
        return tokenResponse(endpoints.seen('token').at(-1)?.parameters ?? new URLSearchParams());
      case 'userinfo': {
        const claims = { sub: 'alice', name: 'Alice', email: 'alice@example.test', ...does.userinfo };
        return does.signedUserinfo === true
          ? { body: unsecuredJwt({ alg: 'RS256' }, claims), type: 'application/jwt' }
          : { body: claims };
      }
      case 'par': {
        const requestUri = `urn:ietf:params:oauth:request_uri:${randomUUID()}`;
        pushed.set(requestUri, endpoints.seen('par').at(-1)?.parameters ?? new URLSearchParams());
        return { status: 201, body: { request_uri: requestUri, expires_in: 60 } };
      }
      case 'revocation':
        return { body: '' };
    }
  }

  function metadata(): Record<string, unknown> {
    return {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      userinfo_endpoint: `${issuer}/userinfo`,
      revocation_endpoint: `${issuer}/revoke`,
      end_session_endpoint: `${issuer}/logout`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    };
  }

  function authorizationResponse(query: URLSearchParams): URL {
    const parameters = pushed.get(query.get('request_uri') ?? '') ?? query;
    const code = randomUUID();
    issued.push(code);
    logins.set(code, parameters);
    const callback = new URL(parameters.get('redirect_uri') ?? '');
    const answers: Record<string, string | string[] | undefined> = {
      code,
      state: parameters.get('state') ?? '',
      iss: issuer,
      ...does.authorizationResponse,
    };
    for (const [name, value] of Object.entries(answers)) {
      for (const one of [value ?? []].flat()) callback.searchParams.append(name, one);
    }
    return callback;
  }

  function tokenResponse(form: URLSearchParams): Content {
    const isRefresh = form.get('grant_type') === 'refresh_token';
    const login = logins.get(form.get('code') ?? form.get('refresh_token') ?? '');
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (login === undefined || (!isRefresh && challenge !== login.get('code_challenge'))) {
      return { status: 400, body: { error: 'invalid_grant' } };
    }
    const refreshToken = randomUUID();
    logins.set(refreshToken, login);
    const overrides = isRefresh ? does.refreshedIdToken : does.idToken;
    const body: Record<string, unknown> = {
      access_token: randomUUID(),
      token_type: 'Bearer',
      expires_in: 300,
      scope: login.get('scope'),
      refresh_token: refreshToken,
      ...(overrides !== null && { id_token: idToken(login, overrides) }),
      ...(isRefresh ? does.refreshResponse : does.tokenResponse),
    };
    for (const name of ['access_token', 'refresh_token', 'id_token']) {
      if (typeof body[name] === 'string') issued.push(body[name]);
    }
    return { body };
  }

  function idToken(login: URLSearchParams, overrides: Record<string, unknown> = {}): string {
    const seconds = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer,
      sub: 'alice',
      aud: clientId,
      iat: seconds,
      exp: seconds + 300,
      jti: randomUUID(),
      nonce: login.get('nonce'),
      ...overrides,
    };
    return signed(does.idTokenHeader, claims, does.signature);
  }

  function signed(overrides: object | undefined, claims: object, signature: Signature | undefined): string {
    const key = signature === 'unknown-key' ? strangersKey : keys[0]!;
    return forgeJwt({ header: { alg: 'RS256', kid: key.kid, ...overrides }, claims, signature, key, clientSecret });
  }

  return {
    issuer,
    clientId,
    clientSecret,
    endpoints,
    does,
    issued,
    /** Signs with a new key from now on. `keep`: the old one stays published. */
    rotateKeys({ keep = false, kid }: { keep?: boolean; kid?: string } = {}): void {
      keys = [newSigningKey(kid), ...(keep ? keys : [])];
    },
    /** A logout token; `claims` over those of a right one without `sub` and `sid`, where `undefined` leaves one out. */
    logoutToken(claims: object, { header, signature }: { header?: object; signature?: Signature } = {}): string {
      const seconds = Math.floor(Date.now() / 1000);
      const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
      const right = { iss: issuer, aud: clientId, iat: seconds, exp: seconds + 120, jti: randomUUID(), events };
      return signed({ typ: 'logout+jwt', ...header }, { ...right, ...claims }, signature);
    },
    authorize: async (url: URL): Promise<URL> => {
      const response = await fetch(url, { redirect: 'manual' });
      return new URL(String(response.headers.get('location')));
    },
    async close(): Promise<void> {
      endpoints.close();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
