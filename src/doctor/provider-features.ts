// What the provider can do, and what that means for this configuration: login, token endpoint, ID tokens. Logout is in provider-logout, refresh in provider-refresh.
import type { Config } from '../config/schema.ts';
import type { Features } from './features.ts';
import { observe } from './observation.ts';
import type { Observation } from './observation.ts';

export function observeFeatures(config: Config, features: Features): Observation[] {
  return [
    observeFlow(features),
    observePkce(features),
    observePar(features),
    observeIss(features),
    observeClientAuth(config, features),
    observe('signing', 'ok', `ID tokens may be signed with ${features.signingAlgorithms.join(', ')}`),
    ...observeScopes(config, features),
    ...observeAcrValues(config, features),
    ...observeUserinfo(config, features),
    observeDpop(features),
    observe('hosts', 'note', `Postern must reach ${features.hosts.join(', ')}`),
  ];
}

function observeFlow({ responseTypes, signedRequestsRequired }: Features): Observation {
  if (responseTypes !== null && !responseTypes.includes('code')) {
    return observe('code flow', 'failure', 'not offered, and Postern knows no other');
  }
  if (signedRequestsRequired) {
    return observe(
      'code flow',
      'failure',
      'the provider wants signed requests (RFC 9101), which Postern does not send',
    );
  }
  return observe('code flow', 'ok', 'offered');
}

// Metadata that names methods without S256 has been refused before.
function observePkce({ pkceS256 }: Features): Observation {
  return pkceS256 === true
    ? observe('PKCE', 'ok', 'S256')
    : observe('PKCE', 'note', 'not announced; S256 is sent all the same, which does no harm');
}

function observePar({ par }: Features): Observation {
  switch (par) {
    case 'required':
      return observe('PAR', 'ok', 'required, and used: authorization requests go to the provider directly');
    case 'offered':
      return observe('PAR', 'ok', 'offered, and therefore used: authorization requests go to the provider directly');
    case 'none':
      return observe('PAR', 'note', 'not offered: authorization requests travel in the browser’s address bar');
  }
}

function observeIss({ iss }: Features): Observation {
  return iss
    ? observe('iss', 'ok', 'comes with authorization responses, and is checked (RFC 9207)')
    : observe(
        'iss',
        'note',
        'does not come with authorization responses (RFC 9207); with one provider there is none to mix it up with',
      );
}

const authMethods = { basic: 'client_secret_basic', post: 'client_secret_post' } as const;

function observeClientAuth({ provider }: Config, features: Features): Observation {
  const about = 'client authentication';
  const used = provider.clientSecret === undefined ? 'none' : authMethods[provider.clientAuth];
  // What a provider that does not say supports (OpenID Connect Discovery 3).
  const offered = features.authMethods ?? ['client_secret_basic'];
  if (offered.includes(used)) return observe(about, 'ok', used);
  const other = (['basic', 'post'] as const).find((method) => offered.includes(authMethods[method]));
  const text = `${used} is not among what the provider offers: ${offered.join(', ')}`;
  if (used === 'none') return observe(about, 'warning', text, 'insecure.publicClient');
  return other === undefined
    ? observe(about, 'failure', text)
    : observe(about, 'failure', `${text}; write clientAuth: ${other}`, 'provider.clientAuth');
}

function observeScopes({ provider }: Config, { scopes }: Features): Observation[] {
  if (scopes === null) return [observe('scopes', 'note', 'the provider does not say which there are')];
  // offline_access is told of beside refresh tokens.
  const unknown = provider.scopes.filter((scope) => !scopes.includes(scope) && scope !== 'offline_access');
  if (unknown.length === 0) return [observe('scopes', 'ok', provider.scopes.join(' '))];
  const text = `the provider does not list ${unknown.join(' ')}; it may know them all the same`;
  return [observe('scopes', 'note', text, 'provider.scopes')];
}

function observeAcrValues({ routes, login, provider }: Config, { acrValues }: Features): Observation[] {
  const fixed = provider.authorizationParameters['acr_values']?.split(' ') ?? [];
  const wanted = [...new Set([...fixed, ...routes.flatMap(({ stepUp }) => stepUp?.acrValues ?? [])])];
  const isUsed = wanted.length > 0 || login.parameters.includes('acr_values');
  if (acrValues === null) {
    return isUsed ? [observe('acr_values', 'note', 'the provider does not say which it knows')] : [];
  }
  const unknown = wanted.filter((value) => !acrValues.includes(value));
  if (unknown.length === 0)
    return [observe('acr_values', 'ok', `the provider knows ${acrValues.join(', ') || 'none'}`)];
  const text = `the provider does not list ${unknown.join(', ')}, but ${acrValues.join(', ') || 'none'}: a login that asks for it may fail`;
  return [observe('acr_values', 'warning', text, 'routes[].stepUp.acrValues')];
}

function observeUserinfo({ provider }: Config, { userinfo }: Features): Observation[] {
  if (provider.userinfo === 'never') return [];
  return userinfo
    ? [observe('userinfo', 'ok', 'read at each login')]
    : [observe('userinfo', 'note', 'not offered: claims are those of the ID token alone')];
}

function observeDpop({ dpop }: Features): Observation {
  return observe(
    'DPoP',
    'note',
    dpop
      ? 'offered, and not used: the client must not be registered for DPoP-bound tokens only'
      : 'not offered, and not used',
  );
}
