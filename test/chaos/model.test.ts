// What the model of the chaos runs objects to, and what it lets pass: a judge that never objects would prove nothing.
import { expect, test } from '@jest/globals';
import { learnFrom, objectionTo, refreshedTwiceAtOnce } from './model.ts';
import type { Disturbance, Outcome, SessionModel } from './model.ts';
import { outcomeOf } from './witness.ts';

const newSession = (known: Partial<SessionModel> = {}): SessionModel => ({
  name: 'alice’s session 1',
  user: 'alice',
  handle: 'h1',
  grant: 'g1',
  beganAt: 0,
  endingAt: Infinity,
  endedAt: Infinity,
  refusedAt: new Map(),
  mayBeLost: false,
  ...known,
});
const signedIn: Outcome = { kind: 'signed-in', user: 'alice', handle: 'h1' };
const signedOut: Outcome = { kind: 'signed-out' };
const away = (code: 'session_store_unavailable' | 'provider_unavailable'): Outcome => ({ kind: 'unavailable', code });
const seen = (outcome: Outcome, at: number, session = newSession()) => ({
  session,
  replica: 0,
  beganAt: at,
  endedAt: at + 10,
  outcome,
});
const redisAway: Disturbance = { place: 'Redis', stops: undefined, beganAt: 90_000, mendedAt: 95_000 };

test('the answer of another user or of another session is objected to', () => {
  expect(objectionTo(seen(signedIn, 1_000), [])).toBeUndefined();
  expect(objectionTo(seen({ ...signedIn, user: 'bob' }, 1_000), [])).toMatch(/bob/);
  expect(objectionTo(seen({ ...signedIn, handle: 'h2' }, 1_000), [])).toMatch(/another session/);
});

test('after its end a session is let in nowhere; messages may take milliseconds, and seconds where they may have been lost', () => {
  const ended = newSession({ endingAt: 90_000, endedAt: 90_010 });
  expect(objectionTo(seen(signedIn, 90_200, ended), [])).toBeUndefined();
  expect(objectionTo(seen(signedIn, 93_000, ended), [])).toMatch(/after its end/);
  expect(objectionTo(seen(signedIn, 93_000, ended), [redisAway])).toBeUndefined();
  expect(objectionTo(seen(signedIn, 97_000, ended), [redisAway])).toMatch(/after its end/);
  const refused = newSession({ endingAt: 90_000, refusedAt: new Map([[0, 90_010]]) });
  expect(objectionTo(seen(signedIn, 90_020, refused), [redisAway])).toMatch(/refuses/);
});

test('nobody is signed out without reason, in no outage either; who was told so stays so', () => {
  expect(objectionTo(seen(signedOut, 91_000), [redisAway])).toMatch(/without reason/);
  const session = newSession({ mayBeLost: true });
  expect(objectionTo(seen(signedOut, 91_000, session), [])).toBeUndefined();
  learnFrom(seen(signedOut, 91_000, session));
  expect(objectionTo(seen(signedIn, 94_000, session), [])).toMatch(/after its end/);
});

test('a 503 names what is away, while it is or has just been', () => {
  expect(objectionTo(seen(away('session_store_unavailable'), 91_000), [redisAway])).toBeUndefined();
  expect(objectionTo(seen(away('session_store_unavailable'), 80_000), [redisAway])).toMatch(/nothing was wrong/);
  expect(objectionTo(seen(away('session_store_unavailable'), 110_000), [redisAway])).toMatch(/nothing was wrong/);
  const provider: Disturbance = { ...redisAway, place: 'provider' };
  expect(objectionTo(seen(away('session_store_unavailable'), 91_000), [provider])).toMatch(/nothing was wrong/);
  expect(objectionTo(seen(away('provider_unavailable'), 91_000), [provider])).toBeUndefined();
});

test('two refreshes of one session at the same time are seen; one after the other and a takeover are none', () => {
  const call = (grant: string, at: number, endedAt?: number) => ({ grant, at, endedAt });
  expect(refreshedTwiceAtOnce([call('a', 0, 100), call('a', 100, 200), call('b', 50, 60)])).toEqual([]);
  expect(refreshedTwiceAtOnce([call('a', 0, 100), call('a', 50, 200)])).toEqual(['a']);
  expect(refreshedTwiceAtOnce([call('a', 0), call('a', 25_000, 25_100)])).toEqual([]);
});

test('an answer is read strictly: its code, its Retry-After, and no cookie beside it', () => {
  const answer = (status: number, body: object, headers = {}) => ({ status, headers, body: JSON.stringify(body) });
  const storeAway = { code: 'session_store_unavailable' };
  const read = outcomeOf.bind(undefined, 'GET /api/x');
  expect(read(answer(503, storeAway, { 'retry-after': '2' })).kind).toBe('unavailable');
  expect(read(answer(503, storeAway)).kind).toBe('strange');
  expect(read(answer(401, { code: 'session_required' })).kind).toBe('strange');
  expect(read(answer(401, { code: 'session_expired' }, { 'set-cookie': 'postern=; Max-Age=0' })).kind).toBe('strange');
  expect(read(answer(500, { code: 'internal_error' })).kind).toBe('strange');
});
