// Providers that are known by their issuer, because they have ways of their own.

export type KnownProvider = 'keycloak' | 'google' | 'entra' | 'auth0' | 'okta';

/** Which one an issuer is of, or undefined. */
export function knownProvider(issuer: string): KnownProvider | undefined {
  const { host, pathname } = new URL(issuer);
  if (/\/realms\/[^/]+$/.test(pathname)) return 'keycloak';
  if (host === 'accounts.google.com') return 'google';
  if (host === 'login.microsoftonline.com') return 'entra';
  if (host.endsWith('.auth0.com')) return 'auth0';
  return /\.okta(preview|-emea)?\.com$/.test(host) ? 'okta' : undefined;
}
