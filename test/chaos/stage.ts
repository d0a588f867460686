// Where commands act: the house, who has a session in it, which faults there are now, and what is still under way.
import { setTimeout as pause } from 'node:timers/promises';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';
import { until } from '../support/until.ts';
import type { Fault } from './faults.ts';
import type { House } from './house.ts';
import { refreshedTwiceAtOnce } from './model.ts';
import type { Disturbance, SessionModel, TokenCall } from './model.ts';
import { createWitness } from './witness.ts';
import type { Member, Witness } from './witness.ts';

/** Short, so that expiry can be waited for. */
export const accessTokenTtlSeconds = 3;

/** What commands decide by. */
export interface Model {
  members: Member[];
  /** Faults that are not mended yet. */
  faults: { fault: Fault; disturbance: Disturbance }[];
}

export interface Stage {
  house: House;
  witness: Witness;
  model: Model;
  /** Throws when nothing is wrong and it fails all the same. */
  logIn(user: string, on: number): Promise<Member | undefined>;
  begin(fault: Fault): Promise<void>;
  mend(fault: Fault): Promise<void>;
  /** Every refresh that the provider has seen. */
  refreshes(): TokenCall[];
  /** How often each command was run. */
  readonly done: Map<string, number>;
  count(command: string): void;
  /** Lets something go on behind the commands that follow. */
  meanwhile(work: Promise<unknown>): void;
  /** Resolves when all of it is done. */
  quiet(): Promise<void>;
  /** Throws at the first broken promise. */
  judge(): void;
}

/** The longest that anything goes on being wrong after its mending. */
const recoversMs = 12_000;

export function createStage(house: House): Stage {
  const disturbances: Disturbance[] = [];
  const witness = createWitness(house, disturbances);
  const model: Model = { members: [], faults: [] };
  const { provider } = house;
  let underWay: Promise<unknown>[] = [];
  const done = new Map<string, number>();
  let logins = 0;

  function refreshes(): TokenCall[] {
    return provider.endpoints.seen('token', 'refresh_token').map(({ parameters, at, endedAt }) => {
      const grant = provider.grantOf(parameters.get('refresh_token') ?? '');
      return { grant: grant ?? 'unknown', at, endedAt };
    });
  }

  const sessions = (): SessionModel[] => model.members.map(({ session }) => session);

  /** Whose refresh was under way at that moment: the provider may have rotated, and nobody heard of it. */
  function doubt(atMoment: number): void {
    const open = refreshes().filter(({ endedAt }) => (endedAt ?? Infinity) >= atMoment - 300);
    const grants = new Set(open.map(({ grant }) => grant));
    for (const session of sessions()) if (grants.has(session.grant)) session.mayBeLost = true;
  }

  /** What a process takes along when it dies: the ends and the tokens that it could not write yet. */
  function forgetWith(replica: number): void {
    const isStoreAway = disturbances.some(
      ({ place, mendedAt }) => (place === 'Redis' || place === 'way to Redis') && mendedAt + recoversMs >= Date.now(),
    );
    for (const session of sessions()) {
      session.refusedAt.delete(replica);
      if (isStoreAway) session.mayBeLost = true;
    }
  }

  return {
    house,
    witness,
    model,
    refreshes,
    done,

    count(command) {
      done.set(command, (done.get(command) ?? 0) + 1);
    },

    async logIn(user, on) {
      const providerCookies = new Map<string, string>();
      const visitor = { visit: (url: string) => provider.visit(url, { user, cookies: providerCookies }) };
      const startedAt = Date.now();
      let browser, handle;
      try {
        browser = await inTime(signIn(house.replicas[on]!.process, visitor, user));
        handle = await inTime(handleOf(browser));
      } catch (error) {
        if (disturbances.some(({ mendedAt }) => mendedAt + recoversMs >= startedAt)) return undefined;
        throw error;
      }
      const code = provider.endpoints.seen('token', 'authorization_code').at(-1)!.parameters.get('code')!;
      logins += 1;
      const session: SessionModel = {
        name: `${user}’s session ${logins}`,
        user,
        handle,
        grant: provider.grantOf(code) ?? code,
        beganAt: startedAt,
        endingAt: Infinity,
        endedAt: Infinity,
        refusedAt: new Map(),
        mayBeLost: false,
      };
      const member = { session, browser, providerCookies };
      model.members.push(member);
      return member;
    },

    async begin(fault) {
      const { place, stops } = fault;
      const disturbance: Disturbance = { place, stops, beganAt: Date.now(), mendedAt: Infinity };
      disturbances.push(disturbance);
      model.faults.push({ fault, disturbance });
      await fault.begin(house);
      await pause(50);
      if (place === 'provider' || place === 'replica') doubt(disturbance.beganAt);
      if (stops !== undefined && fault.mayEndSessions === true) forgetWith(stops);
    },

    async mend(fault) {
      const active = model.faults.find((one) => one.fault === fault);
      if (active === undefined) return;
      await inTime(Promise.resolve(fault.mend(house)));
      model.faults = model.faults.filter((one) => one !== active);
      active.disturbance.mendedAt = Date.now();
    },

    meanwhile(work) {
      underWay.push(work);
    },

    async quiet() {
      const all = underWay;
      underWay = [];
      await Promise.all(all);
    },

    judge() {
      const twice = refreshedTwiceAtOnce(refreshes());
      for (const { session } of model.members) {
        if (twice.includes(session.grant)) witness.object(session, 'was refreshed twice at the same time');
      }
      if (witness.objections.length > 0) throw new Error(witness.objections.join('\n'));
    },
  };
}

/** What gets no answer is to fail here, with what was going on, and not by the time limit of the whole. */
export async function inTime<T>(work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const tooLate = pause(40_000, undefined, { signal: timer.signal }).then(() => {
    throw new Error('There was no answer within 40 s');
  });
  try {
    return await Promise.race([work, tooLate]);
  } finally {
    timer.abort();
    tooLate.catch(() => undefined);
  }
}

async function handleOf(browser: SignedIn): Promise<string> {
  const { body } = await browser.call('/bff/session');
  const { session } = JSON.parse(body) as { session?: { handle: string } };
  if (session === undefined) throw new Error(`After the login /bff/session said ${body}`);
  return session.handle;
}

/** Until the access token has run out, by the provider's word. */
export async function untilExpired({ house }: Stage, { session }: Member): Promise<void> {
  const { provider } = house;
  const issuedAt = (): number =>
    Math.max(
      ...provider.endpoints
        .seen('token')
        .filter(
          ({ parameters }) =>
            provider.grantOf(parameters.get('refresh_token') ?? parameters.get('code') ?? '') === session.grant,
        )
        .map(({ at, endedAt }) => endedAt ?? at),
    );
  await until(
    () => Date.now() > issuedAt() + accessTokenTtlSeconds * 1000,
    60_000,
    () => pause(50),
  );
}
