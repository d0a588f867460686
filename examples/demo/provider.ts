// The demo's OpenID provider: a real one (oidc-provider), with two people, login and consent pages, rotating refresh tokens and
// access tokens for one API that live 15 seconds, so that a refresh can be watched.
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';
import type { Interaction } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';
import { listenNear } from './ports.ts';
import { consentPage, errorPage, loginPage, logoutPage } from './provider-pages.ts';

/** How long the demo's access tokens live. */
export const accessTokenSeconds = 15;

/** The API that access tokens are for (RFC 8707); config/demo.yaml asks for it as `resource`. */
export const apiAudience = 'urn:postern-demo:orders';

const people: Record<string, { name: string; email: string }> = {
  alice: { name: 'Alice Liddell', email: 'alice@example.com' },
  bob: { name: 'Bob Cratchit', email: 'bob@example.com' },
};

export interface DemoProviderOptions {
  preferredPort: number;
  /** Postern's origin: where codes may be sent and logouts may end. */
  publicUrl: string;
  /** Postern's own secret. */
  clientSecret: string;
  /** The secret with which the API introspects. */
  apiSecret: string;
  /** Opaque access tokens instead of JWTs. */
  opaque: boolean;
}

/** Starts the provider on 127.0.0.1. Any password opens `alice` and `bob`. */
export async function startProvider(options: DemoProviderOptions) {
  let listener: RequestListener = () => undefined;
  const { port, close } = await listenNear(options.preferredPort, (request, response) => listener(request, response));
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, await configure(options, port));
  const answer = provider.callback();
  listener = (request, response) => {
    const isInteraction = request.url?.startsWith('/interaction/') === true;
    const done = isInteraction ? interact(provider, request, response, options.publicUrl) : answer(request, response);
    done.catch(() =>
      sendPage(response, errorPage('This login has been finished or is too old.'), options.publicUrl, 400),
    );
  };
  return { issuer, close };
}

async function configure(options: DemoProviderOptions, port: number): Promise<Record<string, unknown>> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return {
    // Named, because the same storage by default is greeted with a warning about production; this is a demo and forgets everything.
    adapter: createMemoryAdapter(),
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'demo' }] },
    cookies: {
      keys: [randomBytes(32).toString('base64url')],
      // Cookies ignore ports: two demos in one browser must not take each other's.
      names: {
        session: `demo-session-${port}`,
        interaction: `demo-interaction-${port}`,
        resume: `demo-resume-${port}`,
      },
    },
    clients: [
      {
        client_id: 'demo-shop',
        client_name: 'Demo shop',
        client_secret: options.clientSecret,
        redirect_uris: [`${options.publicUrl}/bff/callback`],
        post_logout_redirect_uris: [`${options.publicUrl}/bff/logout/callback`],
        grant_types: ['authorization_code', 'refresh_token'],
      },
      {
        client_id: 'orders-api',
        client_secret: options.apiSecret,
        redirect_uris: [],
        response_types: [],
        grant_types: [],
      },
    ],
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    // An access token for the API does not open the userinfo endpoint, so the claims are in the ID token.
    conformIdTokenClaims: false,
    findAccount: (_context: unknown, id: string) =>
      people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    ttl: {
      AccessToken: accessTokenSeconds,
      Session: 86_400,
      Grant: 86_400,
      RefreshToken: 86_400,
      Interaction: 3600,
      IdToken: 3600,
    },
    interactions: { url: (_context: unknown, { uid }: Interaction) => `/interaction/${uid}` },
    renderError: (context: KoaContext, { error, error_description: description }: Record<string, string>) => {
      context.type = 'html';
      context.set(pageHeaders(options.publicUrl));
      context.body = errorPage(`${error}: ${description}`);
    },
    features: {
      devInteractions: { enabled: false },
      revocation: {
        enabled: true,
        allowedPolicy: (_context: unknown, client: { clientId: string }, token: { clientId: string }) =>
          client.clientId === token.clientId,
      },
      introspection: {
        enabled: true,
        // An API may ask about tokens that are for it, and about no others.
        allowedPolicy: (_context: unknown, client: { clientId: string }, token: { aud?: string }) =>
          client.clientId === 'orders-api' && token.aud === apiAudience,
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (context: KoaContext, form: string) => {
          context.set(pageHeaders(options.publicUrl));
          context.body = logoutPage(form);
        },
        postLogoutSuccessSource: (context: KoaContext) => {
          context.set(pageHeaders(options.publicUrl));
          context.body = errorPage('You are logged out.');
        },
      },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          audience: apiAudience,
          scope: 'orders',
          accessTokenTTL: accessTokenSeconds,
          accessTokenFormat: options.opaque ? 'opaque' : 'jwt',
        }),
      },
    },
  };
}

/** What the pages of ours need of oidc-provider's koa context. */
interface KoaContext {
  type: string;
  body: string;
  set: (headers: Record<string, string>) => void;
}

// Who are you, and may the shop know? The two questions between /auth and the redirect back.
async function interact(provider: Provider, request: IncomingMessage, response: ServerResponse, publicUrl: string) {
  const interaction = await provider.interactionDetails(request, response);
  if (request.method !== 'POST') {
    sendPage(response, questionOf(interaction), publicUrl);
    return;
  }

  const form = await readForm(request);
  const finish = (result: object) =>
    provider.interactionFinished(request, response, result, {
      mergeWithLastSubmission: interaction.prompt.name === 'consent',
    });
  if (form.get('answer') === 'cancel') return finish({ error: 'access_denied' });
  if (interaction.prompt.name === 'consent')
    return finish({ consent: { grantId: await grant(provider, interaction) } });

  const accountId = form.get('username')?.trim().toLowerCase() ?? '';
  if (Object.hasOwn(people, accountId)) return finish({ login: { accountId } });
  sendPage(response, loginPage({ uid: interaction.uid, username: accountId, isUnknown: true }), publicUrl, 401);
}

function questionOf({ uid, prompt, params, session }: Interaction): string {
  if (prompt.name === 'consent') {
    return consentPage({ uid, name: people[session?.accountId ?? '']?.name ?? '', scope: String(params.scope) });
  }
  return loginPage({ uid, username: typeof params.login_hint === 'string' ? params.login_hint : '', isUnknown: false });
}

async function grant(provider: Provider, { grantId, session, params, prompt }: Interaction): Promise<string> {
  const given =
    (grantId !== undefined && (await provider.Grant.find(grantId))) ||
    new provider.Grant({ accountId: session!.accountId, clientId: String(params.client_id) });
  const { missingOIDCScope = [], missingOIDCClaims = [], missingResourceScopes = {} } = prompt.details;
  given.addOIDCScope(missingOIDCScope.join(' '));
  given.addOIDCClaims(missingOIDCClaims);
  for (const [resource, scopes] of Object.entries<string[]>(missingResourceScopes)) {
    given.addResourceScope(resource, scopes.join(' '));
  }
  return given.save();
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk;
    if (text.length > 10_000) throw new Error('form too large');
  }
  return new URLSearchParams(text);
}

function sendPage(response: ServerResponse, page: string, publicUrl: string, status = 200): void {
  if (!response.headersSent) response.writeHead(status, pageHeaders(publicUrl));
  response.end(page);
}

// form-action also covers where a form's redirects lead, hence the shop's origin.
function pageHeaders(publicUrl: string): Record<string, string> {
  return {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': `default-src 'none'; style-src 'unsafe-inline'; form-action 'self' ${publicUrl}; frame-ancestors 'none'; base-uri 'none'`,
  };
}
