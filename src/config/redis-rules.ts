// Which parts of the `redis` section go together: one place to connect to, each credential said once, and TLS that is not silently left out (ASVS 12.3.1).
import { clientTlsFindings } from './pem.ts';
import type { Finding, RuleContext } from './rule.ts';
import type { Secret } from './secret.ts';

export function redisRules(context: RuleContext): Finding[] {
  return [placeRules, urlRules, databaseRules, tlsRules].flatMap((rule) => rule(context));
}

/** Whether a URL that these rules have passed holds a password; without one it is no secret. */
export function hasPassword(url: Secret): boolean {
  return new URL(url.reveal()).password !== '';
}

const places = ['url', 'sentinel', 'cluster'] as const;

function placeRules({ draft, isGiven }: RuleContext): Finding[] {
  if (!isGiven(['redis']) || draft.redis === undefined) return [];
  const [first, ...others] = places.filter((place) => isGiven(['redis', place]));
  if (first === undefined) {
    return [{ path: ['redis'], message: 'must say where Redis is: url, sentinel or cluster' }];
  }
  return others.map((other) => ({
    path: ['redis', other],
    message: `stands beside redis.${first}: sessions are kept in one place; take one of the two out`,
  }));
}

function urlRules({ draft: { redis }, isGiven }: RuleContext): Finding[] {
  const url = redis?.url?.reveal();
  if (url === undefined) return [];
  const path = ['redis', 'url'];
  const parsed = /^rediss?:\/\/[^/]/.test(url) && URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^(\/\d*)?$/.test(parsed.pathname) || parsed.search !== '') {
    return [{ path, message: 'must be a URL such as redis://host:6379/0 or rediss://user:password@host:6379/0' }];
  }
  const credentials = parsed.username !== '' || parsed.password !== '';
  const inUrl = { username: credentials, password: credentials, database: parsed.pathname.length > 1 };
  const twice = (['username', 'password', 'database'] as const)
    .filter((key) => inUrl[key] && isGiven(['redis', key]))
    .map((key) => ({ path: ['redis', key], message: 'stands beside what redis.url says of it; say it in one place' }));
  if (parsed.protocol === 'rediss:' || !isGiven(['redis', 'tls'])) return twice;
  return [...twice, { path, message: 'begins with redis://, which is unencrypted, beside redis.tls; write rediss://' }];
}

function databaseRules({ draft: { redis }, isGiven }: RuleContext): Finding[] {
  if (!isGiven(['redis', 'cluster']) || redis?.database === undefined || redis.database === 0) return [];
  return [{ path: ['redis', 'database'], message: 'must be 0 or left out: a Cluster has only one database' }];
}

function tlsRules(context: RuleContext): Finding[] {
  return clientTlsFindings(['redis', 'tls'], context.draft.redis?.tls, context);
}
