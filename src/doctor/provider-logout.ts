// Who ends which session when: what the provider offers of the logout specifications, and what the configuration makes of it.
import type { Config } from '../config/schema.ts';
import { formatDuration } from '../config/units.ts';
import { revokesAtLogout } from '../login/revoke-ended.ts';
import { knownProvider } from '../oidc/known-provider.ts';
import type { KnownProvider } from '../oidc/known-provider.ts';
import type { Features } from './features.ts';
import { observe } from './observation.ts';
import type { Observation } from './observation.ts';

export function observeLogout(config: Config, features: Features): Observation[] {
  return [
    observeEndSession(config, features),
    observeRevocation(config, features),
    observeBackChannel(config, features),
    ...observeFrontChannel(config, features),
  ];
}

function observeEndSession({ logout }: Config, { endSession }: Features): Observation {
  if (!endSession) {
    const text =
      'not offered: a logout ends the session here, and the person stays logged in at the provider, so that the next login may ask for nothing; authorizationParameters: { prompt: login } makes it ask';
    return observe('end_session', 'warning', text, 'provider.authorizationParameters');
  }
  if (logout.idTokenHint) return observe('end_session', 'ok', 'offered: a logout goes on to the provider');
  const text =
    'offered: a logout goes on to the provider, with client_id alone; some ask the person again then, or refuse';
  return observe('end_session', 'note', text, 'logout.idTokenHint');
}

/** What a revoked refresh token takes along. */
const takenAlong: Partial<Record<KnownProvider, string>> = {
  keycloak:
    'releases of Keycloak from before 2025 end all sessions of the user here with it, and forget the consent; with a later one logout.revoke: always ends this session alone',
  google: 'Google ends the user’s whole grant with it',
};

function observeRevocation({ logout, provider }: Config, { revocation }: Features): Observation {
  const revokes = revokesAtLogout(logout.revoke, provider.issuer);
  if (!revocation) {
    const level = logout.revoke === 'always' ? 'warning' : 'note';
    return observe(
      'revocation',
      level,
      'not offered: a refresh token lives on at the provider after the logout, known to nobody',
      'logout.revoke',
    );
  }
  if (revokes) return observe('revocation', 'ok', 'offered: the refresh token dies with its session');
  const known = knownProvider(provider.issuer);
  const more = (known && takenAlong[known]) ?? 'at this provider it would end more than the session';
  const why = logout.revoke === 'never' ? 'logout.revoke is never' : more;
  return observe('revocation', 'note', `offered, and not used: ${why}`, 'logout.revoke');
}

function observeBackChannel({ session, provider, logout }: Config, features: Features): Observation {
  const about = 'back-channel logout';
  if (!features.backChannelLogout) {
    const longest = formatDuration(session.absoluteTimeout);
    const text = `not offered: when a person is locked out or logs out elsewhere, the session here goes on until a refresh is refused, at most ${longest}`;
    return observe(about, 'note', text, 'session.absoluteTimeout');
  }
  const which = features.backChannelLogoutSession
    ? 'offered, session by session'
    : 'offered; it may name the user alone, and then ends all sessions of that user';
  const condition =
    knownProvider(provider.issuer) === 'keycloak' && !logout.frontChannel
      ? ', and Front channel logout is switched off, which has Keycloak send nothing'
      : '';
  return observe(about, 'ok', `${which}; once its URI is registered, reachable from the provider${condition}`);
}

function observeFrontChannel({ logout }: Config, features: Features): Observation[] {
  const about = 'front-channel logout';
  if (logout.frontChannel) {
    return features.frontChannelLogout
      ? [observe(about, 'ok', 'offered, once its URI is registered')]
      : [observe(about, 'warning', 'switched on here, and not offered by the provider', 'logout.frontChannel')];
  }
  if (!features.frontChannelLogout || features.backChannelLogout) return [];
  const text = 'offered, as the only way for the provider to end sessions here, and not switched on';
  return [observe(about, 'note', text, 'logout.frontChannel')];
}
