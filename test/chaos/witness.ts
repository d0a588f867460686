// Asks replicas in the name of a session, and holds every answer against what the model allows.
import type { Answer, SignedIn } from '../support/signed-in.ts';
import type { House } from './house.ts';
import { learnFrom, objectionTo } from './model.ts';
import type { Disturbance, Outcome, SessionModel } from './model.ts';

/** A session in a browser: what the model knows, and what only its holder has. */
export interface Member {
  session: SessionModel;
  browser: SignedIn;
  /** At the provider, where it ends the login. */
  providerCookies: Map<string, string>;
}

export type Question = 'GET /api/x' | 'GET /bff/session' | 'POST /bff/refresh';

export interface Witness {
  /** Resolves when the answer has been judged. */
  ask(member: Member, question: Question, options: { on: number; hangUpAfterMs?: number }): Promise<Outcome>;
  /** One request whose answer the caller reads; undefined when there was none. */
  send(
    member: Member,
    question: string,
    options: { on: number; headers?: Record<string, string> },
  ): Promise<Answer | undefined>;
  object(session: SessionModel, what: string): void;
  /** Broken promises; must stay empty. */
  readonly objections: string[];
  /** How often each answer was seen. */
  readonly tally: Map<string, number>;
}

const answerWithinMs = 20_000;
const jwt = /eyJ[\w-]{10,}\.eyJ/;

export function createWitness(house: House, disturbances: readonly Disturbance[]): Witness {
  const objections: string[] = [];
  const tally = new Map<string, number>();

  function object(session: SessionModel, what: string): void {
    objections.push(`${session.name} ${what}`);
  }

  function count(what: string): void {
    tally.set(what, (tally.get(what) ?? 0) + 1);
  }

  function call(
    member: Member,
    question: string,
    options: { on: number; signal: AbortSignal; headers?: Record<string, string> },
  ) {
    const [method = '', path = ''] = question.split(' ');
    const { on, ...rest } = options;
    return member.browser.call(path, { method, on: house.replicas[on]!.process, ...rest });
  }

  return {
    objections,
    tally,
    object,

    async ask(member, question, { on, hangUpAfterMs }) {
      const { session } = member;
      const beganAt = Date.now();
      let outcome: Outcome;
      try {
        const answer = await call(member, question, {
          on,
          signal: AbortSignal.timeout(hangUpAfterMs ?? answerWithinMs),
        });
        outcome = outcomeOf(question, answer);
        count(outcome.kind === 'unavailable' ? outcome.code : String(answer.status));
      } catch {
        outcome = { kind: hangUpAfterMs === undefined ? 'no-answer' : 'hung-up' };
        count(outcome.kind);
      }
      const sighting = { session, replica: on, beganAt, endedAt: Date.now(), outcome };
      const objection = objectionTo(sighting, disturbances);
      if (objection !== undefined) object(session, `${objection} (${question}, replica ${on})`);
      learnFrom(sighting);
      return outcome;
    },

    async send(member, question, { on, headers = {} }) {
      try {
        const answer = await call(member, question, { on, headers, signal: AbortSignal.timeout(answerWithinMs) });
        count(String(answer.status));
        return answer;
      } catch {
        count('no-answer');
        return undefined;
      }
    },
  };
}

/** Reads an answer strictly: the status, the code that belongs to it, and nothing that a browser must not get. */
export function outcomeOf(question: Question, { status, headers, body }: Answer): Outcome {
  if (headers['set-cookie'] !== undefined) return { kind: 'strange', what: `a cookie set or cleared beside ${status}` };
  if (jwt.test(body)) return { kind: 'strange', what: 'a token' };
  if (status === 200)
    return question === 'GET /api/x' ? { kind: 'signed-in', user: body, handle: undefined } : whoIs(body);
  const { code } = codeOf(body);
  if (status === 401 && code === 'session_expired') return { kind: 'signed-out' };
  const isAway = code === 'session_store_unavailable' || code === 'provider_unavailable';
  if (status === 503 && isAway && headers['retry-after'] !== undefined) return { kind: 'unavailable', code };
  return { kind: 'strange', what: `${status} ${code ?? body}` };
}

function whoIs(body: string): Outcome {
  const answer = JSON.parse(body) as { user?: { sub: string }; session?: { handle: string } };
  if (answer.user === undefined || answer.session === undefined) return { kind: 'signed-out' };
  return { kind: 'signed-in', user: answer.user.sub, handle: answer.session.handle };
}

/** The stable code of a problem+json body, where it is one. */
export function codeOf(body: string): { code?: string } {
  try {
    return JSON.parse(body) as { code?: string };
  } catch {
    return {};
  }
}
