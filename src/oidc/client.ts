// openid-client, set up for one call at a time: each `Configuration` carries the fetch of its call, and the metadata as it is now.
import {
  ClientSecretBasic,
  ClientSecretPost,
  Configuration,
  None,
  allowInsecureRequests,
  customFetch,
} from 'openid-client';
import type { ClientAuth } from 'openid-client';
import type { Config } from '../config/schema.ts';
import type { Discovery } from './discovery.ts';
import type { ProviderFetch } from './http.ts';
import type { Metadata } from './metadata.ts';

export type ProviderSettings = Config['provider'];

/** Gives the metadata and, for one call, openid-client's configuration. Throws ProviderFailure when there is no metadata. */
export type ConnectClient = (fetch: ProviderFetch) => Promise<{ configuration: Configuration; metadata: Metadata }>;

/** Takes the metadata anew for each call, so that a change at the provider is followed. */
export function createClient(options: {
  settings: ProviderSettings;
  discovery: Pick<Discovery, 'current'>;
}): ConnectClient {
  const { settings, discovery } = options;
  return async (fetch) => {
    const metadata = await discovery.current();
    const configuration = new Configuration(metadata, settings.clientId, {}, clientAuth(settings));
    configuration[customFetch] = fetch;
    // The fetch keeps the time limit, reading the body included.
    configuration.timeout = 0;
    if (settings.issuer.startsWith('http:')) {
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so to be noticed; the configuration has asked for it
      allowInsecureRequests(configuration);
    }
    return { configuration, metadata };
  };
}

// RFC 6749, 2.3.1: openid-client form-encodes id and secret before Basic.
function clientAuth(settings: ProviderSettings): ClientAuth {
  if (settings.clientSecret === undefined) return None();
  const secret = settings.clientSecret.reveal();
  return settings.clientAuth === 'post' ? ClientSecretPost(secret) : ClientSecretBasic(secret);
}
