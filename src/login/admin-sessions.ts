// /admin/sessions on the operations listener: who operates Postern finds somebody's sessions and ends them (OWASP ASVS 5.0 V7.4.5).
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Secret } from '../config/secret.ts';
import { PosternError, storeAway } from '../errors.ts';
import type { FoundSession, SessionIndex } from '../session/session-index.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Audit } from '../telemetry/audit.ts';
import type { Logger } from '../telemetry/log.ts';
import { endEach } from './end-session.ts';
import type { EndSession } from './end-session.ts';
import { describeFound } from './own-sessions.ts';
import { queryOf, singleValue } from './query.ts';

export interface AdminSessionsOptions {
  token: Secret;
  /** Whose `sub` is meant when the query does not say. */
  issuer: string;
  index: Pick<SessionIndex, 'bySubject'>;
  endSession: EndSession;
  audit: Audit;
  log: Logger;
}

interface Answer {
  status: number;
  headers?: Record<string, string>;
  body: unknown;
}

/**
 * GET and DELETE `?sub=…[&iss=…]`, as JSON: 200 `{ sessions: [{ handle, createdAt, device }] }` or `{ ended: n }`;
 * 400, 401, 404, 405 and 503 `{ error }`.
 */
export function createAdminSessions(options: AdminSessionsOptions): RequestListener {
  const { index, endSession, log } = options;
  const expected = digest(`Bearer ${options.token.reveal()}`);

  async function carryOut(request: IncomingMessage, iss: string, sessions: FoundSession[]): Promise<Answer> {
    if (request.method === 'GET') return { status: 200, body: { sessions: sessions.map(describeFound) } };
    const { ended, pending } = await endEach(endSession, sessions, 'admin');
    const client = request.socket.remoteAddress ?? '';
    options.audit('sessions_ended_by_operator', { client, issuer: iss, sessions: ended, pending });
    if (pending > 0) throw storeAway();
    return { status: 200, body: { ended } };
  }

  async function answerTo(request: IncomingMessage): Promise<Answer> {
    // Of equal length, so that the time it takes tells nothing of the token.
    if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
      return { status: 401, headers: { 'www-authenticate': 'Bearer' }, body: { error: 'the admin token is needed' } };
    }
    const { method, url = '' } = request;
    if (url.split('?', 1)[0] !== '/admin/sessions') return { status: 404, body: { error: 'there is no such address' } };
    if (method !== 'GET' && method !== 'DELETE') {
      return { status: 405, headers: { allow: 'GET, DELETE' }, body: { error: 'GET or DELETE is needed' } };
    }
    const query = queryOf(request);
    const sub = singleValue(query, 'sub');
    const iss = query.has('iss') ? singleValue(query, 'iss') : options.issuer;
    if (sub === undefined || sub === '' || iss === undefined) {
      return { status: 400, body: { error: 'one sub is needed, and at most one iss' } };
    }
    return carryOut(request, iss, await index.bySubject(iss, sub));
  }

  return (request, response) => {
    answerTo(request)
      .catch((error: unknown): Answer => {
        if (!isOutage(error)) throw error;
        return { status: 503, headers: { 'retry-after': '2' }, body: { error: 'the session store does not answer' } };
      })
      .then((answer) => send(response, answer))
      .catch((error: unknown) => {
        log.error({ err: error }, 'an operator’s request failed in a way that is a defect');
        response.destroy();
      });
  };
}

function isOutage(error: unknown): boolean {
  return (
    error instanceof StoreUnavailable || (error instanceof PosternError && error.code === 'session_store_unavailable')
  );
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
  response.end(`${JSON.stringify(body)}\n`);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
