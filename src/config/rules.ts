// Rules that span several keys, each over what was understood of the file: a missing or wrong value silences only the rules that need it.
import { keyRules } from './key-rules.ts';
import { isLoopback, isSameListener } from './network.ts';
import { providerRules } from './provider-rules.ts';
import { redisRules } from './redis-rules.ts';
import { routeRules } from './route-rules.ts';
import type { Finding, RuleContext } from './rule.ts';
import type { ListenAddress } from './schema.ts';
import type { Draft } from './shape.ts';
import { tlsRules } from './tls-rules.ts';
import { formatDuration } from './units.ts';

const leastAdminTokenLength = 32;

/** Everything that the values, each of them right, do wrong together. */
export function brokenRules(context: RuleContext): Finding[] {
  const rules = [
    publicUrlRules,
    listenRules,
    tlsRules,
    workerRules,
    adminRules,
    lifetimeRules,
    redisRules,
    cookieRules,
    keyRules,
    providerRules,
    routeRules,
  ];
  return rules.flatMap((rule) => rule(context));
}

/** What the environment does to the whole process (ASVS 13.4.2): no key of the file can make up for it. */
export function brokenEnvironment(env: Record<string, string | undefined>): Finding[] {
  const findings: Finding[] = [];
  if (env.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    findings.push({
      path: ['NODE_TLS_REJECT_UNAUTHORIZED'],
      message:
        'is 0, so that no certificate would be checked, the provider’s included; unset it, and name a private authority in provider.tls.ca',
    });
  }
  if (env.NODE_OPTIONS?.includes('--insecure-http-parser') === true) {
    findings.push({
      path: ['NODE_OPTIONS'],
      message: 'holds --insecure-http-parser, which lets requests be smuggled past Postern; take it out',
    });
  }
  if (/(^|\s)--inspect(-brk|-wait)?(=|\s|$)/.test(env.NODE_OPTIONS ?? '')) {
    findings.push({
      path: ['NODE_OPTIONS'],
      message:
        'holds --inspect, which opens a debugger, and with it the memory that holds the tokens, to everybody on this machine; take it out',
    });
  }
  return findings;
}

function publicUrlRules({ draft: { publicUrl, insecure } }: RuleContext): Finding[] {
  if (publicUrl === undefined || insecure?.httpPublicUrl === true) return [];
  const url = new URL(publicUrl);
  if (url.protocol === 'https:' || isLoopback(url)) return [];
  return [
    {
      path: ['publicUrl'],
      message: `"${publicUrl}" would send cookies and authorization codes unencrypted; http is for loopback only (localhost, *.localhost, 127.0.0.0/8, [::1]): use https, or set insecure.httpPublicUrl`,
    },
  ];
}

function listenRules({ draft: { listen, operations, forwardAuth } }: RuleContext): Finding[] {
  const findings: Finding[] = [];
  if (collide(listen, operations?.listen)) {
    findings.push({
      path: ['operations', 'listen'],
      message: `port ${listen?.port} is the public listener’s too (listen); metrics and health need one of their own`,
    });
  }
  if (collide(listen, forwardAuth?.listen)) {
    findings.push({
      path: ['forwardAuth', 'listen'],
      message: `port ${listen?.port} is the public listener’s too (listen); its answers carry tokens, so no browser may reach it`,
    });
  }
  if (collide(operations?.listen, forwardAuth?.listen)) {
    findings.push({
      path: ['forwardAuth', 'listen'],
      message: `port ${forwardAuth?.listen?.port} is the operations listener’s too; its answers carry tokens, so it needs one of its own`,
    });
  }
  return findings;
}

function collide(a: Draft<ListenAddress> | undefined, b: Draft<ListenAddress> | undefined): boolean {
  return hasAddress(a) && hasAddress(b) && isSameListener(a, b);
}

// What one process keeps in its memory, another does not know.
function workerRules({ draft: { workers }, isGiven }: RuleContext): Finding[] {
  if (workers === undefined || workers === 1 || isGiven(['redis'])) return [];
  const which = workers === 'auto' ? 'auto can be more than one process' : `${workers} are more than one process`;
  return [
    {
      path: ['workers'],
      message: `${which}, and without redis each would have sessions of its own; add redis, or set 1`,
    },
  ];
}

// Whoever guesses it can log everybody out.
function adminRules({ draft: { operations } }: RuleContext): Finding[] {
  const length = operations?.admin?.token?.reveal().length ?? Infinity;
  if (length >= leastAdminTokenLength) return [];
  return [
    {
      path: ['operations', 'admin', 'token'],
      message: `has ${length} characters, and at least ${leastAdminTokenLength} are needed; make one with: openssl rand -base64 32`,
    },
  ];
}

function hasAddress(address: Draft<ListenAddress> | undefined): address is ListenAddress {
  return address?.host !== undefined && address.port !== undefined;
}

function lifetimeRules({ draft: { session } }: RuleContext): Finding[] {
  if (session?.idleTimeout === undefined || session.absoluteTimeout === undefined) return [];
  if (session.idleTimeout <= session.absoluteTimeout) return [];
  return [
    {
      path: ['session', 'idleTimeout'],
      message: `${formatDuration(session.idleTimeout)} is longer than session.absoluteTimeout (${formatDuration(session.absoluteTimeout)}), so it would never count; make it shorter`,
    },
  ];
}

function cookieRules({ draft: { cookie } }: RuleContext): Finding[] {
  const name = cookie?.name;
  const prefix = name === undefined ? undefined : /^__(Host|Secure|Http)-/i.exec(name)?.[0];
  if (prefix === undefined) return [];
  return [
    {
      path: ['cookie', 'name'],
      message: `must stand without the prefix "${prefix}": Postern puts the prefix __Host-Http- in front wherever publicUrl is https`,
    },
  ];
}
