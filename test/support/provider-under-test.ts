// Our side of the OpenID flow against one of the test providers, without the rest of the house.
import { randomBytes } from 'node:crypto';
import pino from 'pino';
import { createProvider } from '../../src/oidc/openid-provider.ts';
import type { ProviderOptions } from '../../src/oidc/openid-provider.ts';
import type { FinishLoginOutcome, LoginChecks, Provider } from '../../src/oidc/provider.ts';
import type { TokenSet } from '../../src/oidc/token-set.ts';
import { Secret } from '../../src/config/secret.ts';

export const redirectUri = 'http://localhost/bff/callback';
export const postLogoutRedirectUri = 'http://localhost/bff/logout/callback';

interface TestProvider {
  issuer: string;
  clientId: string;
  clientSecret: string | undefined;
}

export interface ConnectOptions extends Partial<Omit<ProviderOptions, 'settings'>> {
  settings?: Partial<ProviderOptions['settings']>;
  /** Receives every log line. */
  logLines?: string[];
}

/** Our provider object, talking to `op`. Close it. */
export function connectTo(op: TestProvider, options: ConnectOptions = {}): Provider {
  const { settings, logLines = [], ...rest } = options;
  return createProvider({
    settings: {
      issuer: op.issuer,
      clientId: op.clientId,
      ...(op.clientSecret !== undefined && { clientSecret: new Secret(op.clientSecret) }),
      clientAuth: 'basic',
      scopes: ['openid', 'profile', 'email'],
      authorizationParameters: {},
      userinfo: 'auto',
      ...settings,
    },
    redirectUri,
    postLogoutRedirectUri,
    idTokenHint: true,
    now: Date.now,
    wallNow: rest.now ?? Date.now,
    random: randomBytes,
    observer: { called: () => undefined, breaker: () => undefined, inForce: () => undefined },
    log: pino({ level: 'trace' }, { write: (line: string) => void logLines.push(line) }),
    ...rest,
  });
}

/** A whole login. `authorize` takes the authorization URL to the provider and brings back the callback URL. */
export async function logIn(
  provider: Provider,
  authorize: (url: URL) => Promise<URL>,
  parameters: Record<string, string> = {},
): Promise<{ outcome: FinishLoginOutcome; checks: LoginChecks; callback: URL }> {
  const { url, checks } = await provider.startLogin(parameters);
  const callback = await authorize(url);
  return { outcome: await provider.finishLogin(callback, checks), checks, callback };
}

/** The tokens of a login that succeeded; anything else fails the test with what happened instead. */
export function tokensOf(outcome: FinishLoginOutcome): TokenSet {
  if (outcome.kind === 'signed-in') return outcome.tokens;
  throw new Error(`Not signed in: ${outcome.kind}`, { cause: 'cause' in outcome ? outcome.cause : outcome });
}
