// One person at the app: signs in, uses everything for a while, logs out, tries the old cookie, comes back.
import { setTimeout as pause } from 'node:timers/promises';
import { openEvents } from '../support/event-stream.ts';
import type { Caller } from '../support/gate-call.ts';
import { openSocket } from '../support/socket-client.ts';
import { signIn } from '../support/signed-in.ts';
import { until } from '../support/until.ts';
import { between, weightedActs } from './acts.ts';
import type { Visit } from './acts.ts';
import type { House } from './house.ts';

/** What everybody saw. */
export interface Sight {
  /** How often each act had which outcome. */
  outcomes: Map<string, number>;
  /** Broken promises; must stay empty. */
  violations: string[];
}

export interface Person {
  user: string;
  house: House;
  caller: Caller;
  sight: Sight;
  /** How long a session is used at most before its logout, in ms. */
  sessionMs: number;
}

/** Lives until told to stop, and is signed out then. */
export async function live(person: Person, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) await attempt(person, () => useOnce(person, stop));
}

async function useOnce(person: Person, stop: AbortSignal): Promise<void> {
  const { user, house, caller, sight, sessionMs } = person;
  const { postern, provider } = house;
  const { cookie } = await signIn(postern, provider, user);
  const visit: Visit = { user, cookie, postern, caller, saw };

  function saw(act: string, outcome: string | number): void {
    const key = `${act}: ${outcome}`;
    sight.outcomes.set(key, (sight.outcomes.get(key) ?? 0) + 1);
  }

  saw('login', 'done');
  // These stay open for as long as the session lives, and no longer.
  const events = await openEvents(visit, postern);
  const socket = await openSocket(postern, '/api/socket', { Cookie: cookie });
  const acts = weightedActs();
  const endsAt = performance.now() + between(sessionMs / 2, sessionMs);
  while (performance.now() < endsAt && !stop.aborted) {
    await attempt(person, () => acts[between(0, acts.length - 1)]!(visit));
    await pause(between(5, 40));
  }
  if (events.endedAt !== undefined || socket.isGone) throw new Error('a stream ended before its session');

  const logout = await caller.call('/bff/logout', { cookie, method: 'POST' });
  saw('logout', logout.status);
  if (logout.status !== 200) throw new Error(`the logout answered ${logout.status}`);
  await until(() => events.endedAt !== undefined && socket.isGone, 5_000);
  const after = await caller.call('/api/who', visit);
  saw('call after the logout', after.status);
  if (after.status !== 401) throw new Error(`after the logout a call answered ${after.status}`);
}

async function attempt({ user, sight }: Person, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    sight.violations.push(`${user}: ${String(error)}`);
    // Whatever is wrong, it is not to be tried in a tight loop.
    await pause(100);
  }
}
