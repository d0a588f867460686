// The refresh token of a session that has ended dies at the provider too (RFC 7009; OpenID Connect Back-Channel Logout 1.0 section 2.7).
// Best effort: it can be read only where the session is open, by the cookie that came with a logout or from a near cache.
import type { Config } from '../config/schema.ts';
import { knownProvider } from '../oidc/known-provider.ts';
import type { Provider } from '../oidc/provider.ts';
import type { EndReason, Store } from '../store/store.ts';
import type { OpenedSession } from '../tokens/opened-session.ts';

/** To be called by everybody who still has the session open when it ends: the first one revokes, if the reason calls for it. Never waited for, never throws. */
export type RevokeEnded = (session: Pick<OpenedSession, 'h' | 'tokens'>, reason: EndReason) => void;

/** Hands back a refresh token that has come to no session, where tokens are revoked at all. Never waited for, never throws. */
export type DiscardToken = (refreshToken: string) => void;

/** @param options.revokes see `revokesAtLogout`: what was just given may stand for the same grant as the user's other sessions */
export function createDiscardToken(options: {
  provider: Pick<Provider, 'revoke'>;
  revokes: () => boolean;
}): DiscardToken {
  return (refreshToken) => {
    if (options.revokes()) void options.provider.revoke(refreshToken);
  };
}

// Every process that has the session open hears of its end within this.
const claimSeconds = 60;

/** @param options.revokes whether refresh tokens are revoked at all, see `revokesAtLogout` */
export function createRevokeEnded(options: {
  provider: Pick<Provider, 'revoke'>;
  store: Pick<Store, 'claimOnce'>;
  revokes: () => boolean;
  randomId: () => string;
}): RevokeEnded {
  const { provider, store, revokes, randomId } = options;

  async function revokeOnce(h: string, refreshToken: string): Promise<void> {
    // Revoked twice is better than not at all: an outage is no reason to leave it alive.
    const isFirst = await store.claimOnce(`revoked:${h}`, randomId(), claimSeconds).catch(() => true);
    if (isFirst) await provider.revoke(refreshToken);
  }

  return ({ h, tokens }, reason) => {
    if (revokes() && tokens.refreshToken !== undefined && callsForIt(reason, tokens.scope))
      void revokeOnce(h, tokens.refreshToken);
  };
}

function callsForIt(reason: EndReason, scope: string): boolean {
  switch (reason) {
    case 'logout':
    case 'limit':
    case 'admin':
      return true;
    case 'back-channel':
      return !scope.split(' ').includes('offline_access');
    // The login that replaces a session may live on the same grant at the provider, which revoking would end;
    // a token that the provider has refused is dead; and a frame in somebody's page is no reason to touch anything at the provider.
    case 'replaced':
    case 'revoked':
    case 'front-channel':
      return false;
  }
}

/** Whether ended sessions are revoked. Under `auto` not where it takes more than this session along: Google drops the user's whole grant, Keycloak the consent. */
export function revokesAtLogout(setting: Config['logout']['revoke'], issuer: string): boolean {
  switch (setting) {
    case 'always':
      return true;
    case 'never':
      return false;
    case 'auto':
      return !['google', 'keycloak'].includes(knownProvider(issuer) ?? '');
  }
}
