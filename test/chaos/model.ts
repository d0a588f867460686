// What is known about people's sessions and about what is wrong in the house, and what may therefore be answered. Pure: instants (epoch ms) in, objections out.
import type { Place } from './faults.ts';

/** Something is wrong at a place, from its beginning until it was mended. */
export interface Disturbance {
  place: Place;
  /** The replica that does not answer meanwhile. */
  stops: number | undefined;
  beganAt: number;
  /** Infinity while it lasts. */
  mendedAt: number;
}

/** A session as its user and an observer of the provider know it. Instants that have not come are Infinity. */
export interface SessionModel {
  name: string;
  user: string;
  /** Its public name, which never changes. */
  handle: string;
  /** The grant that its refresh tokens belong to. */
  grant: string;
  beganAt: number;
  /** Somebody began to end it. */
  endingAt: number;
  /** Its end was confirmed: no replica lets it in any more. */
  endedAt: number;
  /** By replica: from here on this one refuses it, because its end could not be written yet. */
  refusedAt: Map<number, number>;
  /** The provider may have rotated its token without anybody hearing of it: the next refresh may end it. */
  mayBeLost: boolean;
}

/** What came of one request. */
export type Outcome =
  | { kind: 'signed-in'; user: string; handle: string | undefined }
  | { kind: 'signed-out' }
  | { kind: 'unavailable'; code: 'session_store_unavailable' | 'provider_unavailable' }
  | { kind: 'hung-up' }
  | { kind: 'no-answer' }
  /** Never right. */
  | { kind: 'strange'; what: string };

export interface Sighting {
  session: SessionModel;
  replica: number;
  beganAt: number;
  endedAt: number;
  outcome: Outcome;
}

/** A request at the token endpoint. */
export interface TokenCall {
  grant: string;
  at: number;
  endedAt: number | undefined;
}

/** Messages take milliseconds; the rest is for a busy machine. */
const messageMs = 2_000;
/** When messages may have been lost: silence is noticed within 3 s, and a busy machine takes its time. */
const silenceMs = 6_000;
/** Reconnecting, settling, the last time limits. */
const storeRecoversMs = 8_000;
/** The circuit breaker's 10 s. */
const providerRecoversMs = 12_000;
/** The longest back-off of a session comes on top of the breaker. */
const backOffEndsMs = 42_000;
/** The attempt of a refresh that lost its process or its store stands for 25 s. */
const attemptEndsMs = 27_000;

/** Why this may not have been answered, or undefined. */
export function objectionTo(sighting: Sighting, disturbances: readonly Disturbance[]): string | undefined {
  const { session, replica, beganAt, endedAt, outcome } = sighting;
  const during = (afterwardsMs: number, concerns: (disturbance: Disturbance) => boolean): boolean =>
    disturbances.some((one) => one.beganAt <= endedAt && beganAt <= one.mendedAt + afterwardsMs && concerns(one));
  const isOfStore = ({ place, stops }: Disturbance): boolean =>
    place === 'Redis' || place === 'way to Redis' || stops === replica;
  switch (outcome.kind) {
    case 'signed-in': {
      if (outcome.user !== session.user) return `was given what belongs to ${outcome.user}`;
      if (outcome.handle !== undefined && outcome.handle !== session.handle) return 'was given another session';
      if (beganAt > (session.refusedAt.get(replica) ?? Infinity)) return 'was let in by the replica that refuses it';
      const mayBeUnheard = disturbances.some(
        (one) => isOfStore(one) && one.beganAt <= beganAt && session.endedAt <= one.mendedAt + storeRecoversMs,
      );
      const lateMs = beganAt - session.endedAt;
      return lateMs > (mayBeUnheard ? silenceMs : messageMs) ? `was signed in ${lateMs} ms after its end` : undefined;
    }
    case 'signed-out':
      return session.endingAt <= endedAt || session.mayBeLost ? undefined : 'was signed out without reason';
    case 'unavailable': {
      const isKnown =
        outcome.code === 'session_store_unavailable'
          ? during(storeRecoversMs, isOfStore)
          : during(providerRecoversMs, ({ place }) => place === 'provider') ||
            during(backOffEndsMs, ({ place, mendedAt }) => place === 'provider' && session.beganAt < mendedAt) ||
            during(attemptEndsMs, ({ place, mendedAt }) => place !== 'provider' && session.beganAt < mendedAt);
      return isKnown ? undefined : `met ${outcome.code} while nothing was wrong`;
    }
    case 'no-answer':
      return during(0, ({ stops }) => stops === replica) ? undefined : 'got no answer';
    case 'hung-up':
      return undefined;
    case 'strange':
      return `got ${outcome.what}`;
  }
}

/** Whoever was told "signed out" stays so, everywhere; unless one replica alone refuses an end that could not be written. */
export function learnFrom({ session, endedAt, outcome }: Sighting): void {
  if (outcome.kind !== 'signed-out' || session.refusedAt.size > 0) return;
  session.endingAt = Math.min(session.endingAt, endedAt);
  session.endedAt = Math.min(session.endedAt, endedAt);
}

/** Sessions whose refresh token was with the provider twice at a time. A takeover is none: it begins when the attempt before it has run out. */
export function refreshedTwiceAtOnce(calls: readonly TokenCall[]): string[] {
  const takeoverAfterMs = 24_000;
  return calls
    .filter((later, index) =>
      calls
        .slice(0, index)
        .some(
          (earlier) =>
            earlier.grant === later.grant &&
            (earlier.endedAt ?? Infinity) > later.at &&
            later.at - earlier.at < takeoverAfterMs,
        ),
    )
    .map(({ grant }) => grant);
}
