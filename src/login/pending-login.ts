// The login transaction: what must come back with the user, sealed in a short-lived cookie, one per started login (RFC 9700 section 2.1.1, OIDC Core 3.1.2.1).
// SameSite=Lax, because the way back from the provider is a cross-site navigation. Starting a login costs no store command; finishing it claims it, once.
import { createHash } from 'node:crypto';
import type { Request, Response } from 'express';
import type { LoginChecks } from '../oidc/provider.ts';
import { namesIn, valuesOf } from '../session/cookie-header.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { Store } from '../store/store.ts';
import type { Box } from '../tokens/seal.ts';

/** A login on its way. */
export interface PendingLogin {
  checks: LoginChecks;
  /** Where it ends: a path that safeReturnTo gave. */
  returnTo: string;
  /** The h of the session that it replaces: the callback comes from the provider, without the Strict session cookie. */
  replaces: string | undefined;
  /** Epoch ms. */
  startedAt: number;
}

export interface PendingLogins {
  /** Gives the browser the transaction; at most three stay with it, the oldest go. */
  begin(request: Request, response: Response, login: Omit<PendingLogin, 'startedAt'>): void;
  /** The transaction that this browser started under this state. */
  find(request: Request, state: string | null): PendingLogin | undefined;
  /** True for the first callback of a transaction. Throws StoreUnavailable. */
  claim(login: PendingLogin): Promise<boolean>;
  /** Takes the transaction from the browser. */
  remove(response: Response, login: PendingLogin): void;
}

export interface PendingLoginsOptions {
  cookie: SessionCookie;
  box: Box;
  store: Pick<Store, 'claimOnce'>;
  now: () => number;
  randomId: () => string;
}

const mostPending = 3;
/** Many tabs may have begun at once; what is beyond is looked at by a later login. For each the whole Cookie header is read, and strangers write that. */
const mostLookedAt = 20;
const lifetimeSeconds = 600;

/** `now` is epoch ms; `randomId` gives each claim an owner of its own. */
export function createPendingLogins({ cookie, box, store, now, randomId }: PendingLoginsOptions): PendingLogins {
  const prefix = `${cookie.name}-tx-`;
  const attributes = { path: '/', httpOnly: true, secure: cookie.attributes.secure, sameSite: 'lax' } as const;

  // The cookie's name is authenticated with its content, and follows from the state: a transaction answers to no other state.
  function read(request: Request, name: string): PendingLogin | undefined {
    const [value, ...others] = valuesOf(request.headers.cookie, name);
    const json = value === undefined || others.length > 0 ? null : box.open(value, name);
    if (json === null) return undefined;
    const login = JSON.parse(json) as PendingLogin;
    return now() - login.startedAt < lifetimeSeconds * 1000 ? login : undefined;
  }

  return {
    begin(request, response, login) {
      const pending = transactionsIn(request.headers.cookie, prefix)
        .slice(0, mostLookedAt)
        .map((name) => ({ name, startedAt: read(request, name)?.startedAt ?? 0 }))
        .sort((one, other) => other.startedAt - one.startedAt);
      for (const { name } of pending.slice(mostPending - 1)) response.clearCookie(name, attributes);
      const name = prefix + idOf(login.checks.state);
      const sealed = box.seal(JSON.stringify({ ...login, startedAt: now() } satisfies PendingLogin), name);
      response.cookie(name, sealed, { ...attributes, maxAge: lifetimeSeconds * 1000 });
    },

    find: (request, state) => (state === null ? undefined : read(request, prefix + idOf(state))),

    claim: ({ checks }) => store.claimOnce(`tx:${hashOf(checks.state)}`, randomId(), lifetimeSeconds),

    remove: (response, { checks }) => void response.clearCookie(prefix + idOf(checks.state), attributes),
  };
}

function transactionsIn(cookieHeader: string | undefined, prefix: string): string[] {
  // Only names that we give: what is deleted goes into a header.
  const isOurs = (name: string): boolean =>
    name.startsWith(prefix) && /^[A-Za-z0-9_-]{12}$/.test(name.slice(prefix.length));
  return [...new Set(namesIn(cookieHeader))].filter(isOurs);
}

function hashOf(state: string): string {
  return createHash('sha256').update(state).digest('base64url');
}

function idOf(state: string): string {
  return hashOf(state).slice(0, 12);
}
