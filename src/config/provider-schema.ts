// The `provider` section: the OpenID provider, and what this Postern is registered as there.
import * as z from 'zod';
import { httpUrl, parameterValue, scope, text } from './values.ts';
import type { machinePath, secretValue } from './values.ts';

export function providerSection(secret: ReturnType<typeof secretValue>, path: ReturnType<typeof machinePath>) {
  return z.strictObject({
    issuer: httpUrl.describe(
      'The issuer, exactly as the provider writes it in its tokens; its metadata is at <issuer>/.well-known/openid-configuration.',
    ),
    clientId: text.describe('The client that this Postern is registered as.'),
    clientSecret: secret.optional().describe('The client secret. Needed unless insecure.publicClient is set.'),
    clientAuth: z
      .enum(['basic', 'post'])
      .default('basic')
      .describe('How the secret travels to the token endpoint: HTTP Basic, or in the form.'),
    scopes: z.array(scope).min(1).default(['openid']).describe('Scopes to ask for; openid must be among them.'),
    authorizationParameters: z
      .record(z.string(), parameterValue)
      .default({})
      .describe('More parameters for the authorization request, such as audience, resource or access_type.'),
    userinfo: z
      .enum(['auto', 'never'])
      .default('auto')
      .describe('auto: read the userinfo endpoint at login where there is one; never: the ID token says enough.'),
    tls: z
      .strictObject({
        ca: z.strictObject({
          file: path.describe('PEM file with the authority that signed the provider’s certificate.'),
        }),
      })
      .optional()
      .describe('For a provider whose certificate a private authority signed.'),
  });
}
