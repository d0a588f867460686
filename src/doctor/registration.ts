// What the provider must be told of this Postern, under the names of client metadata (OpenID Connect Dynamic Client Registration 2, RFC 7591) and, where
// the provider is known, under those of its console.
import type { Config } from '../config/schema.ts';
import type { Features } from './features.ts';
import { knownProvider } from '../oidc/known-provider.ts';
import type { KnownProvider } from '../oidc/known-provider.ts';

export interface Registration {
  /** The member of client metadata, or `web_origins`, which is no part of it. */
  field: string;
  value: string;
  /** What the provider's console calls it, where that is known. */
  label?: string;
}

const labels: Record<KnownProvider, Record<string, string>> = {
  keycloak: {
    client_id: 'Client ID',
    token_endpoint_auth_method: 'Client authentication',
    grant_types: 'Standard flow',
    redirect_uris: 'Valid redirect URIs',
    post_logout_redirect_uris: 'Valid post logout redirect URIs',
    backchannel_logout_uri: 'Backchannel logout URL',
    backchannel_logout_session_required: 'Backchannel logout session required',
    frontchannel_logout_uri: 'Front-channel logout URL',
    web_origins: 'Web origins',
  },
  google: { redirect_uris: 'Authorized redirect URIs', web_origins: 'Authorized JavaScript origins' },
  entra: { redirect_uris: 'Redirect URIs of the platform Web', frontchannel_logout_uri: 'Front-channel logout URL' },
  auth0: {
    redirect_uris: 'Allowed Callback URLs',
    post_logout_redirect_uris: 'Allowed Logout URLs',
    backchannel_logout_uri: 'Back-Channel Logout URI',
    web_origins: 'Allowed Web Origins',
  },
  okta: { redirect_uris: 'Sign-in redirect URIs', post_logout_redirect_uris: 'Sign-out redirect URIs' },
};

/** `features` is undefined while the provider cannot be asked: then everything is listed that it may want. */
export function registrationsFor(config: Config, features: Features | undefined): Registration[] {
  const { publicUrl, basePath, provider, logout } = config;
  const base = publicUrl + basePath;
  const isPublic = provider.clientSecret === undefined;
  const fields: [field: string, value: string][] = [
    ['client_id', provider.clientId],
    ['token_endpoint_auth_method', isPublic ? 'none' : `client_secret_${provider.clientAuth}`],
    ['grant_types', 'authorization_code refresh_token'],
    ['redirect_uris', `${base}/callback`],
  ];
  if (features?.endSession !== false) fields.push(['post_logout_redirect_uris', `${base}/logout/callback`]);
  if (features?.backChannelLogout !== false) {
    fields.push(
      ['backchannel_logout_uri', `${base}/backchannel-logout`],
      ['backchannel_logout_session_required', 'true'],
    );
  }
  if (logout.frontChannel) {
    fields.push(
      ['frontchannel_logout_uri', `${base}/frontchannel-logout`],
      ['frontchannel_logout_session_required', 'true'],
    );
  }
  fields.push(['web_origins', `none: no script of ${publicUrl} calls the provider`]);
  const known = knownProvider(provider.issuer);
  return fields.map(([field, value]) => {
    const label = known && labels[known][field];
    return { field, value, ...(label !== undefined && { label }) };
  });
}
