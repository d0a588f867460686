// A real OpenID provider (oidc-provider) on a port of the system's choosing, with two users, consent, rotation with reuse detection,
// RP-initiated logout, revocation and RFC 9207. Nothing in it is faked; endpoints can be told to be slow or to fail.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';
import { WatchedEndpoints } from './endpoint.ts';
import type { EndpointName } from './endpoint.ts';
import { createProviderStorage } from './provider-storage.ts';
import { interact, page, personOf } from './provider-pages.ts';
import { visitProvider } from './provider-visitor.ts';
import type { VisitOptions } from './provider-visitor.ts';

export interface RealProviderOptions {
  redirectUris?: string[];
  postLogoutRedirectUris?: string[];
  backchannelLogoutUri?: string;
  /** 300 unless given. */
  accessTokenTtlSeconds?: number;
  /** A new refresh token at each refresh; the old one presented again revokes the whole grant. On unless given. */
  rotate?: boolean;
  /** Pushed authorization requests (RFC 9126). Off unless given. */
  par?: 'off' | 'offered' | 'required';
  /** With it access tokens are JWTs (RFC 9068) for this audience, and claims are in the ID token; else tokens are opaque. */
  audience?: string;
  clientId?: string;
  /** `null`: a public client. */
  clientSecret?: string | null;
  clientAuth?: 'basic' | 'post';
  /** https with this certificate; then `host` is the name in it. */
  tls?: { key: string; cert: string };
  host?: string;
  port?: number;
}

export type RealProvider = Awaited<ReturnType<typeof startRealProvider>>;

const paths: Record<string, EndpointName> = {
  '/.well-known/openid-configuration': 'discovery',
  '/jwks': 'jwks',
  '/token': 'token',
  '/token/revocation': 'revocation',
  '/me': 'userinfo',
  '/request': 'par',
};

const claims = {
  openid: ['sub'],
  profile: ['name', 'given_name', 'updated_at', 'birthdate', 'locale'],
  email: ['email', 'email_verified'],
};

// One key for the whole process: making RSA keys is the slowest thing here.
const signingKey = generateKeyPair('RS256', { extractable: true }).then(async ({ privateKey }) => ({
  ...(await exportJWK(privateKey)),
  kid: 'real-provider',
  use: 'sig',
  alg: 'RS256',
}));

/**
 * Starts the provider. Users `alice` and `bob`, passwords `<user>-password`; every login asks for consent once per browser session.
 *
 * Tests usually need: `issuer`, `clientId`, `clientSecret`; `allowRedirectUri(uri)` once Postern's port is known; `visit(url, { user })`,
 * which logs in at an authorization URL (or confirms a logout) and gives the URL that the browser would be sent back to;
 * `endpoints.seen('token', 'refresh_token')`, what the provider saw; `endpoints.behaviours.token.delayMs`, `.hold()` and `.fail(fault, times)`;
 * `lifetime.accessTokenSeconds`, which may be another one at a refresh than at the login;
 * `forgetGrants()`, after which every refresh token is `invalid_grant`; `goAway()` and `comeBack()`, connections refused for a while; `close()`.
 */
export async function startRealProvider(options: RealProviderOptions = {}) {
  const { host = '127.0.0.1', clientId = 'postern', clientSecret = 'postern-secret', tls } = options;
  const endpoints = new WatchedEndpoints();
  const lifetime = { accessTokenSeconds: options.accessTokenTtlSeconds ?? 300 };
  const redirectUris = [...(options.redirectUris ?? ['http://localhost/bff/callback'])];
  const postLogoutRedirectUris = [...(options.postLogoutRedirectUris ?? ['http://localhost/bff/logout/callback'])];
  const clientAuth = options.clientAuth === 'post' ? 'client_secret_post' : 'client_secret_basic';
  const storage = createProviderStorage((id) =>
    id !== clientId
      ? undefined
      : {
          client_id: clientId,
          ...(clientSecret !== null && { client_secret: clientSecret }),
          token_endpoint_auth_method: clientSecret === null ? 'none' : clientAuth,
          redirect_uris: redirectUris,
          post_logout_redirect_uris: postLogoutRedirectUris,
          grant_types: ['authorization_code', 'refresh_token'],
          response_types: ['code'],
          ...(options.backchannelLogoutUri !== undefined && {
            backchannel_logout_uri: options.backchannelLogoutUri,
            backchannel_logout_session_required: true,
          }),
        },
  );

  let listener: RequestListener = () => undefined;
  const answer: RequestListener = (request, response) => {
    listener(request, response);
  };
  const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const issuer = `${tls === undefined ? 'http' : 'https'}://${host}:${port}`;

  const provider = new Provider(issuer, await configurationOf(options, lifetime, storage.Adapter));
  const oidc = provider.callback();
  listener = (request, response) => {
    void (async () => {
      const { pathname } = new URL(request.url ?? '/', issuer);
      const endpoint = paths[pathname];
      if (endpoint !== undefined && (await endpoints.meet(endpoint, request, response))) return;
      if (pathname.startsWith('/interaction/')) await interact(provider, request, response);
      else await oidc(request, response);
    })().catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500).end(String(error));
    });
  };

  return {
    issuer,
    clientId,
    clientSecret: clientSecret ?? undefined,
    endpoints,
    /** Of the access tokens that are issued from now on. */
    lifetime,
    allowRedirectUri: (uri: string) => void redirectUris.push(uri),
    allowPostLogoutRedirectUri: (uri: string) => void postLogoutRedirectUris.push(uri),
    visit: (url: string | URL, visit?: VisitOptions) => visitProvider(url, visit),
    forgetGrants: storage.forgetGrants,
    grantOf: storage.grantOf,
    async goAway(): Promise<void> {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
    async comeBack(): Promise<void> {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
    async close(): Promise<void> {
      endpoints.close();
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function configurationOf(
  options: RealProviderOptions,
  lifetime: { accessTokenSeconds: number },
  adapter: unknown,
): Promise<Record<string, unknown>> {
  const { audience, rotate = true, par = 'off' } = options;
  const day = 86_400;
  return {
    adapter,
    claims,
    jwks: { keys: [await signingKey] },
    // Resource access tokens do not open userinfo, so the claims have to be in the ID token then.
    conformIdTokenClaims: audience === undefined,
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    rotateRefreshToken: rotate,
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    pkce: { required: () => true },
    ttl: {
      AccessToken: () => lifetime.accessTokenSeconds,
      AuthorizationCode: 60,
      IdToken: 3600,
      RefreshToken: day,
      Grant: day,
      Interaction: 3600,
      Session: day,
    },
    clientBasedCORS: () => false,
    // Its own dispatcher refuses loopback, which is where our back-channel logout endpoint is.
    fetch(url: string, request: RequestInit & { dispatcher?: unknown }) {
      delete request.dispatcher;
      return fetch(url, request);
    },
    renderError: (context: { body: string }, { error }: { error: string }) => {
      context.body = page('Something is wrong', `<p>${error}</p>`);
    },
    findAccount: (_context: unknown, id: string) => {
      const person = personOf(id);
      return person && { accountId: id, claims: () => ({ sub: id, ...person }) };
    },
    interactions: { url: (_context: unknown, interaction: { uid: string }) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true, allowedPolicy: () => true },
      backchannelLogout: { enabled: true },
      pushedAuthorizationRequests: { enabled: par !== 'off', requirePushedAuthorizationRequests: par === 'required' },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (context: { body: string }, form: string) => {
          const yes = '<button name="logout" value="yes">Log out</button>';
          context.body = page('Log out?', form.replace('</form>', `${yes}</form>`));
        },
      },
      resourceIndicators: {
        enabled: audience !== undefined,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'openid profile email',
          audience,
          accessTokenFormat: 'jwt',
          accessTokenTTL: lifetime.accessTokenSeconds,
        }),
      },
    },
  };
}
