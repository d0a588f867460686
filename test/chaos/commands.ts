// What people do, and what happens to them, as commands in any order (fast-check's model runs). Most of it goes on behind the commands that follow.
import { setTimeout as pause } from 'node:timers/promises';
import * as fc from 'fast-check';
import { postLogoutToken } from '../support/logout-token.ts';
import { until } from '../support/until.ts';
import { faults } from './faults.ts';
import type { Fault } from './faults.ts';
import { replicaCount } from './house.ts';
import { inTime, untilExpired } from './stage.ts';
import type { Model, Stage } from './stage.ts';
import { codeOf } from './witness.ts';
import type { Member, Question } from './witness.ts';

export type Command = fc.AsyncCommand<Model, Stage>;

/** Everything a command can be about; each uses what it needs. */
interface Choice {
  member: number;
  replica: number;
  pauseMs: number;
}

const maxMembers = 6;
const choice = fc.record<Choice>({
  member: fc.nat({ max: maxMembers - 1 }),
  replica: fc.nat({ max: replicaCount - 1 }),
  pauseMs: fc.constantFrom(0, 0, 5, 30, 150),
});

const isUp = ({ faults }: Model, replica: number): boolean => faults.every(({ fault }) => fault.stops !== replica);
const isWhole = ({ faults }: Model, ...places: Fault['place'][]): boolean =>
  faults.every(({ fault }) => !places.includes(fault.place));

/** One thing that somebody who is signed in does. */
function byMember(options: {
  name: string;
  when?: (model: Model, choice: Choice) => boolean;
  run: (stage: Stage, member: Member, choice: Choice) => Promise<void> | void;
}): fc.Arbitrary<Command> {
  const { name, when = () => true, run } = options;
  return choice.map((chosen) => ({
    check: (model) => model.members.length > 0 && when(model, chosen),
    async run({ members }, stage) {
      stage.count(name);
      await run(stage, members[chosen.member % members.length]!, chosen);
      await pause(chosen.pauseMs);
      stage.judge();
    },
    toString: () => `${name}(session ${chosen.member}, replica ${chosen.replica})`,
  }));
}

const login: fc.Arbitrary<Command> = fc.tuple(fc.constantFrom('alice', 'bob'), choice).map(([user, { replica }]) => ({
  check: (model) => model.members.length < maxMembers && isUp(model, replica),
  async run(_model, stage) {
    stage.count('login');
    await stage.logIn(user, replica);
    stage.judge();
  },
  toString: () => `login(${user}, replica ${replica})`,
}));

function question(name: string, asked: Question): fc.Arbitrary<Command> {
  return byMember({
    name,
    run: (stage, member, { replica }) => stage.meanwhile(stage.witness.ask(member, asked, { on: replica })),
  });
}

function callEverywhere(stage: Stage, member: Member): void {
  for (let index = 0; index < 3 * replicaCount; index += 1)
    stage.meanwhile(stage.witness.ask(member, 'GET /api/x', { on: index % replicaCount }));
}

const callsEverywhere = byMember({ name: 'calls on all replicas', run: callEverywhere });

const hangUp = byMember({
  name: 'a call that is hung up on',
  run: (stage, member, { replica, pauseMs }) =>
    stage.meanwhile(stage.witness.ask(member, 'GET /api/x', { on: replica, hangUpAfterMs: 1 + pauseMs })),
});

const fromAnotherSite = byMember({
  name: 'a call from another site',
  when: (model, { replica }) => isUp(model, replica),
  async run({ witness }, member, { replica }) {
    const headers = { 'sec-fetch-site': 'cross-site', origin: 'https://other.example' };
    const answer = await witness.send(member, 'GET /api/x', { on: replica, headers });
    if (answer?.status !== 403 || codeOf(answer.body).code !== 'csrf_rejected')
      witness.object(member.session, `was used by another site: ${answer?.status} ${answer?.body}`);
  },
});

const expiry = byMember({
  name: 'token expiry and calls on all replicas',
  async run(stage, member) {
    await untilExpired(stage, member);
    callEverywhere(stage, member);
  },
});

const logout = byMember({
  name: 'logout',
  when: (model, { replica }) => isUp(model, replica),
  async run({ witness }, member, { replica }) {
    const { session } = member;
    session.endingAt = Math.min(session.endingAt, Date.now());
    const answer = await witness.send(member, 'POST /bff/logout', { on: replica });
    if (answer?.status === 200) {
      session.endedAt = Math.min(session.endedAt, Date.now());
    } else if (answer?.status === 503 && codeOf(answer.body).code === 'session_store_unavailable') {
      session.refusedAt.set(replica, Date.now());
      if (answer.headers['set-cookie'] !== undefined) witness.object(session, 'lost its cookie to an outage');
    } else {
      witness.object(session, `was not logged out: ${answer?.status} ${answer?.body}`);
    }
  },
});

const endAtProvider = byMember({
  name: 'back-channel logout',
  when: (model, { replica }) => isUp(model, replica) && isWhole(model, 'provider'),
  async run({ house, witness }, { session, providerCookies }, { replica }) {
    if (providerCookies.size === 0) return;
    const { provider, replicas, logoutTokens } = house;
    const { publicUrl } = replicas[0]!.process;
    const query = new URLSearchParams({
      client_id: provider.clientId,
      post_logout_redirect_uri: `${publicUrl}/bff/logout/callback`,
    });
    logoutTokens.length = 0;
    session.endingAt = Math.min(session.endingAt, Date.now());
    await inTime(provider.visit(`${provider.issuer}/session/end?${query}`, { cookies: providerCookies }));
    providerCookies.clear();
    await until(() => logoutTokens.length > 0);
    const { status, body } = await inTime(postLogoutToken(replicas[replica]!.process, logoutTokens[0]!));
    if (status === 200) session.endedAt = Math.min(session.endedAt, Date.now());
    else if (status === 400 && body.includes('temporarily_unavailable')) session.refusedAt.set(replica, Infinity);
    else witness.object(session, `was not ended by its provider: ${status} ${body}`);
  },
});

const faultBegins: fc.Arbitrary<Command> = fc
  .tuple(fc.constantFrom(...faults), fc.constantFrom(0, 200, 1_000))
  .map(([fault, lastsMs]) => ({
    check: (model) => model.members.length > 0 && isWhole(model, fault.place),
    async run(_model, stage) {
      stage.count(fault.name);
      await stage.begin(fault);
      await pause(lastsMs);
      stage.judge();
    },
    toString: () => `fault(${fault.name}, ${lastsMs} ms before the next command)`,
  }));

const faultMended: fc.Arbitrary<Command> = fc.nat({ max: 3 }).map((index) => ({
  check: (model) => model.faults.length > 0,
  async run({ faults: active }, stage) {
    await stage.mend(active[index % active.length]!.fault);
    stage.judge();
  },
  toString: () => `mended(${index})`,
}));

/** The provider never answers, so the session lives: whoever takes over finds its token unspent. */
const killedWhileRefreshing = byMember({
  name: 'a replica killed while it refreshes',
  when: (model) => model.faults.length === 0,
  async run(stage, member, { replica }) {
    const { house, witness } = stage;
    const { token } = house.provider.endpoints.behaviours;
    await stage.quiet();
    await untilExpired(stage, member);
    const { mayBeLost } = member.session;
    const seenBefore = stage.refreshes().length;
    token.fail('hang', 1);
    stage.meanwhile(witness.ask(member, 'GET /api/x', { on: replica }));
    const end = Date.now() + 1_000;
    await until(() => stage.refreshes().length > seenBefore || Date.now() > end);
    const fault: Fault = {
      name: 'killed while it refreshes',
      place: 'replica',
      stops: replica,
      mayEndSessions: true,
      begin: ({ replicas }) => replicas[replica]!.process.signal('SIGKILL'),
      mend: () => house.replace(replica),
    };
    await stage.begin(fault);
    await stage.mend(fault);
    token.recover();
    member.session.mayBeLost = mayBeLost;
  },
});

/** Weighted by repetition. */
export const commands: fc.Arbitrary<Command>[] = [
  login,
  question('call', 'GET /api/x'),
  callsEverywhere,
  callsEverywhere,
  question('who am I', 'GET /bff/session'),
  question('refresh now', 'POST /bff/refresh'),
  question('refresh now', 'POST /bff/refresh'),
  hangUp,
  fromAnotherSite,
  expiry,
  expiry,
  logout,
  endAtProvider,
  faultBegins,
  faultBegins,
  faultMended,
];

/** With these a run lasts until the attempt of a dead process has run out. */
export const slowCommands: fc.Arbitrary<Command>[] = [killedWhileRefreshing, killedWhileRefreshing];
