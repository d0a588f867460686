// The session record, kept by express-session in the store: who logged in, when, with what. It is written once, at login.
// Tokens never enter it: express-session writes whole objects back, and a late write would undo a refresh or a logout.
import { randomBytes } from 'node:crypto';
import { RedisStore } from 'connect-redis';
import session from 'express-session';
import type { Store } from '../store/store.ts';
import { hashOf } from './cookie.ts';
import type { SessionCookie } from './cookie.ts';

/** Who a session belongs to. Identity only, in clear. */
export interface SessionRecord {
  iss: string;
  sub: string;
  /** OIDC's `sid`, the session at the provider. */
  sid?: string;
  /** `sub` and those that the configuration names. */
  claims: Readonly<Record<string, unknown>>;
  clientId: string;
  /** Epoch ms. */
  createdAt: number;
  /** When the provider issued the ID token of the login: epoch ms, on the provider's clock. */
  issuedAt: number;
  /** What the browser called itself, at most 256 printable characters. */
  device: string;
}

declare module 'express-session' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- merging is how express-session learns its data's type
  interface SessionData extends SessionRecord {}
}

type RequestHandler = ReturnType<typeof session>;
type Request = Parameters<RequestHandler>[0];
type Response = Parameters<RequestHandler>[1];

export interface Sessions {
  /**
   * Makes a session with an id that nobody has seen, and gives that id once the store has the record; the response will set its cookie.
   * Throws StoreUnavailable.
   */
  rotate(request: Request, response: Response, record: SessionRecord): Promise<string>;
  /** Forgets the session that `rotate` has made for this request: its record goes, and its cookie is not set. */
  destroy(request: Request): Promise<void>;
}

export interface SessionsOptions {
  store: Pick<Store, 'readSession' | 'writeSession' | 'deleteSession'>;
  cookie: SessionCookie;
  /** The signing secrets of this moment, the first signs; the same array until they change. */
  secrets: () => readonly string[];
  /** How long a record lives that no token record has joined yet. */
  idleSeconds: number;
}

/** Signs with the secrets of the moment in which a session is made. */
export function createSessions({ store, cookie, secrets, idleSeconds }: SessionsOptions): Sessions {
  let made: { secrets: readonly string[]; middleware: RequestHandler } | undefined;

  // express-session takes its secrets once and for all, so other secrets need another one.
  function middleware(): RequestHandler {
    const current = secrets();
    if (made?.secrets !== current) made = { secrets: current, middleware: createMiddleware(current) };
    return made.middleware;
  }

  function createMiddleware(current: readonly string[]): RequestHandler {
    return session({
      name: cookie.name,
      cookie: cookie.attributes,
      secret: [...current],
      genid: () => randomBytes(32).toString('base64url'),
      store: createRecords(store, idleSeconds),
      resave: false,
      saveUninitialized: false,
      rolling: false,
      // `destroy` would delete a second time while the response ends, and answer again if the store is away then.
      unset: 'keep',
      // Without X-Forwarded-Proto, which the server sets from publicUrl, a Secure cookie would silently not be sent.
      proxy: true,
    });
  }

  return {
    async rotate(request, response, record) {
      // Whatever cookie came along is out of express-session's sight: no id is ever adopted, and the old session stays whole until the new one is.
      // An id made afresh needs no regenerate(), after which express-session would write the record once more as the response ends.
      delete request.headers.cookie;
      await new Promise<void>((resolve, reject) => {
        middleware()(request, response, (error?: unknown) => settle(error, resolve, reject));
      });
      Object.assign(request.session, record);
      await new Promise<void>((resolve, reject) => {
        request.session.save((error?: unknown) => settle(error, resolve, reject));
      });
      return request.sessionID;
    },

    async destroy(request) {
      // Not there before `rotate` has got to its first step.
      const made = request.session as Request['session'] | undefined;
      if (made === undefined) return;
      await new Promise<void>((resolve, reject) => {
        made.destroy((error?: unknown) => settle(error, resolve, reject));
      });
    },
  };
}

// connect-redis 8.1 takes these four functions as they are, on Redis and on memory alike. Version 10 speaks to node-redis only
// and brings that whole package along as a peer, 15 MB that nothing here would use.
function createRecords(store: SessionsOptions['store'], idleSeconds: number): RedisStore {
  return new RedisStore({
    prefix: '',
    ttl: () => idleSeconds,
    disableTouch: true,
    client: {
      get: (sessionId: string) => store.readSession(hashOf(sessionId)),
      set: (sessionId: string, json: string, _unit: 'EX', ttlSeconds: number) =>
        store.writeSession(hashOf(sessionId), json, ttlSeconds),
      del: (sessionIds: string[]) => Promise.all(sessionIds.map((sessionId) => store.deleteSession(hashOf(sessionId)))),
      // Lifetimes are renewed together with the tokens', by the vault.
      expire: () => Promise.resolve(0),
    },
  });
}

function settle(error: unknown, resolve: () => void, reject: (error: Error) => void): void {
  if (error === undefined || error === null) resolve();
  else reject(error instanceof Error ? error : new Error('express-session failed', { cause: error }));
}
