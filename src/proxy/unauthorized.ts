// What becomes of an upstream's 401 (RFC 6750 section 3.1, RFC 9470): the call once more with another token, the way to a better login, or the 401 itself.
// An API that answers 401 for reasons of its own must start no storm of refreshes, so every way to one is limited.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RouteConfig } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import type { AccessTokens } from '../tokens/access-token.ts';
import type { OpenedSession } from '../tokens/opened-session.ts';
import type { Grant } from './admission.ts';
import { bearerError, challengesOf } from './challenges.ts';
import { stepUpOf } from './step-up.ts';
import type { UpstreamHeaders } from './upstream-headers.ts';

/** A call that carries a session's token. */
export interface AuthorizedCall {
  session: OpenedSession;
  bearer: string;
  /** The call's headers with what the session holds by now. */
  headersFor: (granted: { session: OpenedSession | undefined; bearer: string | undefined }) => UpstreamHeaders;
}

/** A 401 as far as it matters. */
export interface Refusal {
  /** The value of WWW-Authenticate. */
  challenge: string | undefined;
  /** Whether all of the request and all of the answer are at hand. */
  canReplay: boolean;
  /** Whether what was refused was sent the second time. */
  isReplay: boolean;
}

export type Reaction =
  /** The 401 goes through. */
  { kind: 'pass' } | { kind: 'replay'; headers: UpstreamHeaders } | { kind: 'refuse'; error: PosternError };

/** One route's way with 401s. */
export interface Unauthorized {
  react(call: AuthorizedCall, refusal: Refusal): Promise<Reaction>;
  /** A replay was answered, and not with 401. */
  accepted(): void;
  /** Answers in the upstream's place. */
  refuse(request: IncomingMessage, response: ServerResponse, error: PosternError): void;
}

export interface UnauthorizedOptions {
  config: Pick<RouteConfig, 'stepUp'>;
  grant: Grant;
  tokens: Pick<AccessTokens, 'forReplay'>;
  refuse: Unauthorized['refuse'];
  /** Monotonic, ms. */
  now: () => number;
  onReplayed: (outcome: 'accepted' | 'refused') => void;
  /** New tokens are refused like old ones, `failuresInARow` times: there are no replays for `pauseMs`. */
  onPause: () => void;
}

const failuresInARow = 3;
const pauseMs = 300_000;

const pass: Reaction = { kind: 'pass' };

/** One for each route: what it has learned of an upstream's 401s says nothing about another. */
export function createUnauthorized(options: UnauthorizedOptions): Unauthorized {
  const { config, grant, tokens, now } = options;
  let failures = 0;
  let pausedUntil = -Infinity;

  async function replay({ session, bearer, headersFor }: AuthorizedCall, refusal: Refusal): Promise<Reaction> {
    const { challenge, canReplay } = refusal;
    const saysInvalid = bearerError(challengesOf(challenge), 'invalid_token') !== undefined;
    const renewal = tokens.forReplay(session, { mayRefresh: saysInvalid || challenge === undefined });
    // The next call is to have a better token, though this one cannot wait for it.
    if (!canReplay) {
      renewal.catch(() => undefined);
      return pass;
    }
    const outcome = await renewal;
    switch (outcome.kind) {
      case 'signed-in': {
        const granted = grant(outcome.session);
        if (granted.kind === 'refused') return { kind: 'refuse', error: granted.error };
        return granted.bearer === bearer ? pass : { kind: 'replay', headers: headersFor(granted) };
      }
      case 'unchanged':
        return pass;
      case 'signed-out':
        return { kind: 'refuse', error: new PosternError('session_expired') };
      case 'unavailable':
        // An outage is not a logout, and a bare 401 looks like one; but an upstream that did not blame the token may have meant something else.
        return saysInvalid ? { kind: 'refuse', error: outcome.error } : pass;
    }
  }

  function accepted(): void {
    options.onReplayed('accepted');
    failures = 0;
  }

  function refusedAgain(): void {
    options.onReplayed('refused');
    failures += 1;
    if (failures < failuresInARow || now() < pausedUntil) return;
    failures = 0;
    pausedUntil = now() + pauseMs;
    options.onPause();
  }

  return {
    async react(call, refusal) {
      const { challenge, isReplay } = refusal;
      const login = config.stepUp && stepUpOf(challengesOf(challenge), config.stepUp);
      if (login !== undefined) {
        // The token itself is good.
        if (isReplay) accepted();
        return { kind: 'refuse', error: new PosternError('step_up_required', { login }) };
      }
      if (isReplay) refusedAgain();
      return isReplay || now() < pausedUntil ? pass : replay(call, refusal);
    },

    accepted,

    refuse: options.refuse,
  };
}
