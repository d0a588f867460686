// Users who call all the time, on any replica, hang up now and then, and log out for good now and then. They know what they may never see.
import { setTimeout as pause } from 'node:timers/promises';
import { signIn } from '../support/signed-in.ts';
import type { SignedIn } from '../support/signed-in.ts';
import type { House } from './house.ts';

/** What the users saw in one period. */
export interface Sight {
  statuses: Map<string, number>;
  /** Sessions that ended although nobody logged out. */
  lost: number;
}

export interface Crowd {
  /** What was seen since the last look. */
  look(): Sight;
  /** Broken promises so far; must stay empty. */
  readonly violations: string[];
  /** Whether every user's call works now, on every replica. */
  isWell(): Promise<boolean>;
  /** One user more logs out now, and goes on trying the old cookie. */
  logOutOne(): Promise<void>;
  stop(): Promise<void>;
}

interface Member {
  user: string;
  session: SignedIn;
}

const callTimeoutMs = 20_000;
/** Beside success: not signed in, and "not now". */
const allowed = new Set(['200', '401', '503', 'aborted', 'unreachable']);

export async function gatherCrowd(house: House, size: number): Promise<Crowd> {
  const violations: string[] = [];
  const members: Member[] = [];
  const goneForGood: Member[] = [];
  let sight: Sight = { statuses: new Map(), lost: 0 };
  let stopped = false;

  async function join(user: string): Promise<Member> {
    for (;;) {
      const session = await signIn(house.replicas[0]!.process, house.provider, user).catch(() => undefined);
      if (session !== undefined) return { user, session };
      await pause(500);
    }
  }

  async function call({ user, session }: Member, replica: number, signal: AbortSignal): Promise<string> {
    try {
      const { status, body } = await session.call('/api/x', { on: house.replicas[replica]!.process, signal });
      if (status === 200 && body !== user) violations.push(`${user} was given the answer of ${body}`);
      return String(status);
    } catch {
      // A replica that is dead or stopped is the load balancer's business.
      return signal.aborted ? 'aborted' : 'unreachable';
    }
  }

  async function live(index: number): Promise<void> {
    while (!stopped) {
      const member = members[index]!;
      const hangsUp = Math.random() < 0.05;
      const signal = AbortSignal.timeout(hangsUp ? 20 : callTimeoutMs);
      const seen = await call(member, Math.floor(Math.random() * house.replicas.length), signal);
      sight.statuses.set(seen, (sight.statuses.get(seen) ?? 0) + 1);
      if (!allowed.has(seen)) violations.push(`${member.user} saw ${seen}`);
      if (seen === '401' && members[index] === member) {
        sight.lost += 1;
        members[index] = await join(member.user);
      }
      await pause(40 + Math.random() * 60);
    }
  }

  async function haunt(): Promise<void> {
    while (!stopped) {
      for (const member of goneForGood) {
        for (let replica = 0; replica < house.replicas.length; replica += 1) {
          const seen = await call(member, replica, AbortSignal.timeout(3_000));
          if (seen === '200') violations.push(`${member.user} came back after the logout`);
        }
      }
      await pause(100);
    }
  }

  for (let index = 0; index < size; index += 1) members.push(await join(`user-${index}`));
  const lives = [...members.keys()].map(live);
  const haunting = haunt();

  return {
    violations,
    look() {
      const seen = sight;
      sight = { statuses: new Map(), lost: 0 };
      return seen;
    },
    async isWell() {
      const everybody = members.flatMap((member) =>
        house.replicas.map((_, replica) => call(member, replica, AbortSignal.timeout(5_000))),
      );
      return (await Promise.all(everybody)).every((seen) => seen === '200');
    },
    async logOutOne() {
      const member = await join(`user-${size + goneForGood.length}`);
      const { status } = await member.session.call('/bff/logout', { method: 'POST', on: house.replicas[0]!.process });
      if (status !== 200) throw new Error(`The logout answered ${status}`);
      // The promise is "within 50 ms"; the harness itself may be slower than that under load.
      await pause(500);
      goneForGood.push(member);
    },
    async stop() {
      stopped = true;
      await Promise.all([...lives, haunting]);
    },
  };
}
