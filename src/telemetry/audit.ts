// The audit events: what somebody who answers for security wants to find again, under names that stay (OWASP ASVS 5.0 V16.3).
// This is the one list of them; docs/logging-and-tracing.md explains each. A session is told by its handle, which opens nothing, and never by its hash.
import type { Logger } from './log.ts';

/** What an event can be told of, and which fields of the line that makes. */
interface Facts {
  /** Whose request it was. */
  request: { readonly requestId: string; readonly clientAddress: string };
  /** The address of an operator's request. */
  client: string;
  /** The session, by the hash of its id, if there was one. */
  h: string | undefined;
  issuer: string;
  /** Why, in a word of ours, or the error code of the provider. */
  reason: string;
  /** The configured route. */
  route: string;
  /** How many sessions. */
  sessions: number;
  /** How many more are refused here and wait for the store. */
  pending: number;
  /** What is wrong with a configuration, or with files, a line each: it names keys and files, and quotes no secret. */
  problems: readonly string[];
  /** The keys of the configuration that have other values. */
  changed: readonly string[];
  /** Their names, never their content. */
  files: readonly string[];
  /** The key of the configuration that names the files. */
  setting: string;
  cause: unknown;
}

/** The fields of the line that each fact becomes. */
export const fieldsOf = {
  request: ['requestId', 'client'],
  client: ['client'],
  h: ['handle'],
  issuer: ['issuer'],
  reason: ['reason'],
  route: ['route'],
  sessions: ['sessions'],
  pending: ['pending'],
  problems: ['problems'],
  changed: ['changed'],
  files: ['files'],
  setting: ['setting'],
  cause: ['err'],
} as const satisfies Record<keyof Facts, readonly string[]>;

interface Description {
  level: 'info' | 'warn' | 'error';
  says: string;
  carries: readonly (keyof Facts)[];
}

export const auditEvents = {
  login: { level: 'info', says: 'login', carries: ['request', 'h', 'issuer'] },
  login_failed: { level: 'warn', says: 'login failed', carries: ['request', 'issuer', 'reason', 'cause'] },
  logout: { level: 'info', says: 'logout', carries: ['request', 'h'] },
  session_ended: { level: 'info', says: 'session ended', carries: ['h', 'issuer', 'reason'] },
  refresh_failed: { level: 'warn', says: 'refresh failed', carries: ['h', 'issuer', 'reason', 'cause'] },
  backchannel_logout: { level: 'info', says: 'back-channel logout', carries: ['request', 'issuer', 'sessions'] },
  backchannel_logout_failed: {
    level: 'warn',
    says: 'back-channel logout failed',
    carries: ['request', 'issuer', 'reason', 'cause'],
  },
  sessions_ended_by_operator: {
    level: 'info',
    says: 'sessions ended by an operator',
    carries: ['client', 'issuer', 'sessions', 'pending'],
  },
  csrf_rejected: { level: 'warn', says: 'refused by the cross-site rule', carries: ['request', 'route'] },
  access_denied: { level: 'warn', says: 'refused by the rule of a route', carries: ['request', 'route'] },
  configuration_reloaded: { level: 'info', says: 'configuration reloaded', carries: ['changed', 'files'] },
  configuration_refused: {
    level: 'error',
    says: 'configuration refused: the former one stays in force',
    carries: ['problems'],
  },
  files_reloaded: { level: 'info', says: 'files reloaded', carries: ['setting', 'files'] },
  files_refused: {
    level: 'error',
    says: 'files refused: what they held before stays in force',
    carries: ['setting', 'files', 'problems'],
  },
} as const satisfies Record<string, Description>;

export type AuditEvent = keyof typeof auditEvents;

type Told<Event extends AuditEvent> = Pick<Facts, (typeof auditEvents)[Event]['carries'][number]>;

/** Writes one event down. What it carries is given whole. */
export type Audit = <Event extends AuditEvent>(event: Event, told: Told<Event>) => void;

/** @param options.handleOf a session's public name, from the hash of its id */
export function createAudit({ log, handleOf }: { log: Logger; handleOf: (h: string) => string }): Audit {
  return (event, told) => {
    const { level, says } = auditEvents[event];
    const facts = told as Partial<Facts>;
    const { request, client, h, issuer, reason, route, sessions, pending, cause } = facts;
    const { setting, changed, files, problems } = facts;
    log[level](
      {
        event,
        requestId: request?.requestId,
        client: request?.clientAddress ?? client,
        handle: h === undefined ? undefined : handleOf(h),
        issuer,
        reason,
        route,
        sessions,
        pending,
        setting,
        changed,
        files,
        problems,
        err: cause,
      },
      says,
    );
  };
}
