// The `session` section: server keys, lifetimes, and what is kept and shown.
import * as z from 'zod';
import { countOf, duration, text } from './values.ts';
import type { secretValue } from './values.ts';

/** The claims that `/bff/session` shows unless the configuration names others (OIDC Core 5.4, scopes profile, email, phone). */
export const standardProfileClaims = [
  'name',
  'given_name',
  'family_name',
  'middle_name',
  'nickname',
  'preferred_username',
  'profile',
  'picture',
  'website',
  'email',
  'email_verified',
  'gender',
  'birthdate',
  'zoneinfo',
  'locale',
  'phone_number',
  'phone_number_verified',
  'updated_at',
];

export function sessionSection(secret: ReturnType<typeof secretValue>) {
  return z.strictObject({
    keys: z
      .array(secret)
      .min(1)
      .describe(
        'Server keys, 32 random bytes each, base64, newest first. All of them open; a new first one signs and seals after ten minutes.',
      ),
    idleTimeout: duration.prefault('30m').describe('A session without activity ends after this.'),
    absoluteTimeout: duration.prefault('12h').describe('A session ends after this, whatever happens.'),
    refreshBefore: duration
      .prefault('1m')
      .describe('How long before its expiry an access token is refreshed (at most a fifth of its lifetime).'),
    nearCache: z
      .strictObject({
        enabled: z
          .boolean()
          .default(true)
          .describe(
            'Keep opened sessions in the process for up to 5 s, as long as messages of the store are known to arrive.',
          ),
        maxEntries: countOf('sessions')
          .max(1_000_000, 'at most 1000000')
          .default(10_000)
          .describe('The most sessions kept; the least used go first.'),
      })
      .prefault({})
      .describe('Saves the store a command per call.'),
    maxPerUser: countOf('sessions')
      .max(1_000, 'at most 1000')
      .default(1_000)
      .describe('How many sessions a user may have; a login beyond that ends the oldest.'),
    claims: z.array(text).default(standardProfileClaims).describe('The claims that /bff/session shows beside sub.'),
  });
}
