// What an application may ask of a login (OIDC Core 3.1.2.1): what the configuration names, and what an upstream may ask for in a step-up (RFC 9470).
import type { loginParameters } from '../config/login-schema.ts';
import type { Config } from '../config/schema.ts';
import { singleValue } from './query.ts';

type Name = (typeof loginParameters)[number];

// Short, because acr_values and max_age travel in the transaction cookie, and clean, because all of them end in a URL.
const accepted: Record<Name, RegExp> = {
  prompt: /^(none|(login|consent|select_account)( (login|consent|select_account)){0,2})$/,
  login_hint: /^[^\p{C}]{1,256}$/u,
  max_age: /^\d{1,9}$/,
  acr_values: /^(?=.{1,128}$)[\x21-\x7e]+( [\x21-\x7e]+)*$/,
  ui_locales: /^[A-Za-z0-9-]{1,35}( [A-Za-z0-9-]{1,35}){0,9}$/,
};

/** Prepares the reading of a query. What is not allowed, malformed or given twice is left out: it can neither reach the provider nor keep anybody from logging in. */
export function createLoginParameters({ login, routes }: Pick<Config, 'login' | 'routes'>) {
  const stepUps = routes.flatMap(({ stepUp }) => stepUp ?? []);
  const acrValues = new Set(stepUps.flatMap((stepUp) => stepUp.acrValues));
  const names = new Set<Name>([...login.parameters, 'acr_values']);
  if (stepUps.some(({ maxAge }) => maxAge)) names.add('max_age');
  const isAnyAcrAllowed = login.parameters.includes('acr_values');

  function allowedPart(name: Name, value: string): string {
    if (name !== 'acr_values' || isAnyAcrAllowed) return value;
    const allowed = value.split(' ').filter((one) => acrValues.has(one));
    return allowed.join(' ');
  }

  return function read(query: URLSearchParams): Record<string, string> {
    const entries = [...names].flatMap((name) => {
      const value = allowedPart(name, singleValue(query, name) ?? '');
      return accepted[name].test(value) ? [[name, value]] : [];
    });
    return Object.fromEntries(entries) as Record<string, string>;
  };
}

/** An application may ask for a fresher login than the configuration does, never for a staler one. */
export function withMaxAge(
  parameters: Record<string, string>,
  mostSeconds: number | undefined,
): Record<string, string> {
  if (mostSeconds === undefined) return parameters;
  const { max_age: asked = Infinity } = parameters;
  return { ...parameters, max_age: String(Math.min(Number(asked), Math.floor(mostSeconds))) };
}
