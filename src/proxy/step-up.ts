// What an API asks of the login before it answers (RFC 9470): as much of it goes into the login as the route lets it ask for.
import type { RouteConfig } from '../config/schema.ts';
import { bearerError } from './challenges.ts';
import type { Challenge } from './challenges.ts';

/**
 * The parameters of a login that would content the upstream, `acr_values` and `max_age`; undefined when it asks for nothing that the route allows,
 * since a login without them would lead back to the same answer.
 */
export function stepUpOf(
  challenges: readonly Challenge[],
  allowed: NonNullable<RouteConfig['stepUp']>,
): Record<string, string> | undefined {
  const asked = bearerError(challenges, 'insufficient_user_authentication');
  const acrValues = (asked?.get('acr_values') ?? '').split(' ').filter((value) => allowed.acrValues.includes(value));
  const maxAge = asked?.get('max_age') ?? '';
  const parameters = {
    ...(acrValues.length > 0 && { acr_values: acrValues.join(' ') }),
    ...(allowed.maxAge && /^\d{1,9}$/.test(maxAge) && { max_age: maxAge }),
  };
  return Object.keys(parameters).length > 0 ? parameters : undefined;
}
