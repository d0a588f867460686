// Whether sessions can outlive their access token: what must be asked for to get a refresh token, and where it shows that one came.
import { needsTokens } from '../config/route-schema.ts';
import type { Config } from '../config/schema.ts';
import { knownProvider } from '../oidc/known-provider.ts';
import type { Features } from './features.ts';
import { observe } from './observation.ts';
import type { Observation } from './observation.ts';

export function observeRefresh(config: Config, features: Features): Observation[] {
  return [observeGrant(config, features), observeOfflineAccess(config, features), rotation].flat();
}

// Before a login nobody can know it, and some providers decide it user by user.
const rotation = observe(
  'rotation',
  'note',
  'whether refresh tokens come shows after a login only: postern_token_refresh_total{outcome="refreshed"} rises when access tokens have run out. Whether they rotate makes no difference here',
);

const withoutOne = 'without a refresh token a session ends with its access token';

function observeGrant(config: Config, { grantTypes }: Features): Observation[] {
  if (grantTypes === null || grantTypes.includes('refresh_token')) return [];
  const level = needsTokens(config) ? 'warning' : 'note';
  return [observe('refresh', level, `the provider does not offer the refresh_token grant: ${withoutOne}`)];
}

function observeOfflineAccess(config: Config, { scopes }: Features): Observation {
  const { issuer, scopes: asked, authorizationParameters } = config.provider;
  const isAsked = asked.includes('offline_access');
  const level = needsTokens(config) ? 'warning' : 'note';
  const about = 'offline_access';
  const key = 'provider.scopes';
  switch (knownProvider(issuer)) {
    case 'keycloak':
      return isAsked
        ? observe(
            about,
            'note',
            'asked for: Keycloak makes an offline session, which outlives the logout there; refresh tokens come without it',
            key,
          )
        : observe(about, 'ok', 'not asked for, and not needed: Keycloak gives refresh tokens without it');
    case 'google':
      return authorizationParameters['access_type'] === 'offline'
        ? observe(about, 'ok', 'asked for in Google’s way, access_type=offline')
        : observe(
            about,
            level,
            `Google wants authorizationParameters: { access_type: offline, prompt: consent } instead; ${withoutOne}`,
            'provider.authorizationParameters',
          );
    default:
  }
  if (isAsked) {
    return scopes === null || scopes.includes('offline_access')
      ? observe(about, 'ok', 'asked for')
      : observe(about, 'warning', `asked for, and not among the provider’s scopes; ${withoutOne}`, key);
  }
  if (scopes?.includes('offline_access') !== true) {
    return observe(about, 'note', `not asked for, and not among the provider’s scopes; ${withoutOne}`);
  }
  return observe(
    about,
    level,
    `offered, and not asked for: most providers give a refresh token only then; ${withoutOne}`,
    key,
  );
}
