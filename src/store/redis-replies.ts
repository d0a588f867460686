// What the scripts answer, read strictly: the one place where Redis's strings and arrays become the port's shapes.
import { recordFields } from './redis-scripts.ts';
import { StoreUnavailable } from './store.ts';
import type { BeginOutcome, CommitOutcome, EndIfOutcome, LoadedRecord } from './store.ts';

/** A script's answer without the key it begins with: its kind and what belongs to it. */
export type Reply = unknown[];

/** The answer of the script `load`. */
export function toLoaded(h: string, [kind, detail]: Reply): LoadedRecord | 'unreadable' | null {
  if (kind === 'gone') return null;
  return kind === 'loaded' ? (parseRecord(h, detail) ?? 'unreadable') : 'unreadable';
}

/** The answer of `begin`. Throws StoreUnavailable for what it never answers, as the others do. */
export function toBeginOutcome(h: string, [kind, detail]: Reply): BeginOutcome {
  switch (kind) {
    case 'gone':
      return { kind };
    case 'moved':
      return { kind, record: readable(h, detail) };
    case 'back-off':
      return { kind, retryInMs: Number(detail) };
    case 'wait':
      return { kind, waitMs: Number(detail) };
    case 'begun':
      return { kind, takeover: detail === 1 };
    default:
      throw unexpected(kind);
  }
}

/** The answer of `commit`. */
export function toCommitOutcome(h: string, [kind, detail]: Reply): CommitOutcome {
  switch (kind) {
    case 'gone':
      return { kind };
    case 'committed':
    case 'moved':
      return { kind, record: readable(h, detail) };
    default:
      throw unexpected(kind);
  }
}

/** The answer of `endIf`. */
export function toEndIfOutcome(h: string, [kind, detail]: Reply): EndIfOutcome {
  switch (kind) {
    case 'gone':
    case 'ended':
      return { kind };
    case 'kept':
      return { kind, record: readable(h, detail) };
    default:
      throw unexpected(kind);
  }
}

/** The answer of a script that reads one text; null when there is none. */
export function toText([value]: Reply): string | null {
  if (value === null || typeof value === 'string') return value;
  throw unexpected(value);
}

/** The answer of `indexFind`. */
export function toMembers([members]: Reply): string[] {
  if (Array.isArray(members)) return members.map(String);
  throw unexpected(members);
}

function readable(h: string, snapshot: unknown): LoadedRecord {
  const record = parseRecord(h, snapshot);
  if (record === undefined) throw unexpected('a damaged record');
  return record;
}

// A refresh reads a record only after `load` could: what it cannot read now is another version's write, and no reason to end anything.
function unexpected(answer: unknown): StoreUnavailable {
  return new StoreUnavailable(new Error(`unexpected answer of the store: ${String(answer)}`));
}

/** A script's snapshot: clock, PTTL, `main`, and the values of `recordFields` in JSON, false for those that are not there. Undefined when it is not the record of `h`, whole. */
function parseRecord(h: string, snapshot: unknown): LoadedRecord | undefined {
  if (!Array.isArray(snapshot)) return undefined;
  const [now, ttlMs, main, values] = snapshot as unknown[];
  if (typeof now !== 'number' || typeof ttlMs !== 'number' || typeof values !== 'string') return undefined;
  const fields = toFields(JSON.parse(values) as unknown[]);

  const { clientId, issuer, attemptOwner: owner, committedBy } = fields;
  const revision = integer(fields.revision);
  const refreshedAt = integer(fields.refreshedAt);
  const absoluteExpiresAt = integer(fields.absoluteExpiresAt);
  const refreshExpiresAt = integer(fields.refreshExpiresAt);
  const idleMs = integer(fields.idleMs);
  const deadlineAt = integer(fields.attemptDeadlineAt);
  // The record names its session: one that was put under another key is nobody's.
  if (fields.h !== h || typeof main !== 'string' || clientId === undefined || issuer === undefined) return undefined;
  if (revision === undefined || refreshedAt === undefined) return undefined;
  if (absoluteExpiresAt === undefined || idleMs === undefined) return undefined;
  return {
    main,
    revision,
    expiresAt: integer(fields.expiresAt),
    refreshedAt,
    retryAt: integer(fields.retryAt),
    attempt: owner === undefined || deadlineAt === undefined ? undefined : { owner, deadlineAt },
    committedBy,
    absoluteExpiresAt,
    refreshExpiresAt,
    idleMs,
    clientId,
    issuer,
    now,
    // A key without a life of its own (somebody's PERSIST) still ends with the session.
    ttlMs: Math.min(ttlMs < 0 ? Infinity : ttlMs, absoluteExpiresAt - now),
    endsAt: Math.min(absoluteExpiresAt, Math.max(refreshExpiresAt ?? Infinity, deadlineAt ?? 0)),
  };
}

function toFields(values: unknown[]): Partial<Record<(typeof recordFields)[number], string>> {
  const fields: Partial<Record<(typeof recordFields)[number], string>> = {};
  recordFields.forEach((name, index) => {
    const value = values[index];
    if (typeof value === 'string') fields[name] = value;
  });
  return fields;
}

function integer(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
