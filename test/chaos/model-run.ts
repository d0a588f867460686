// The run by commands: sequences that nobody thought of, over one living house, each held against the model while it lasts and when all is mended.
import { setTimeout as pause } from 'node:timers/promises';
import * as fc from 'fast-check';
import { until } from '../support/until.ts';
import { commands, slowCommands } from './commands.ts';
import { startHouse } from './house.ts';
import type { SessionModel } from './model.ts';
import { accessTokenTtlSeconds, createStage } from './stage.ts';
import type { Stage } from './stage.ts';
import type { Member, Question } from './witness.ts';

export interface ModelRunOptions {
  /** The same seed gives the same sequences; how they interleave is up to the machine. */
  seed: number;
  runs: number;
  maxCommands: number;
  /** No sequence is begun after this. */
  withinMs: number;
  /** Waits after each sequence until everybody who should be is served again, and includes the commands for which that takes half a minute. */
  patient: boolean;
}

export interface ModelReport {
  seed: number;
  runs: number;
  /** How often each command was run, each answer seen. */
  commands: Map<string, number>;
  answers: Map<string, number>;
  refreshes: number;
  /** The sequence that broke a promise, and which; undefined when none did. */
  failure: string | undefined;
}

/** How many sessions of earlier sequences go on trying their cookies. */
const maxGone = 20;
const servedAgainMs = 60_000;
const questions: Question[] = ['GET /api/x', 'GET /bff/session'];

/** Runs the sequences; never throws for a broken promise, which is in the report. */
export async function runModel(options: ModelRunOptions): Promise<ModelReport> {
  const house = await startHouse({ accessTokenTtlSeconds });
  const stage = createStage(house);
  const endsAt = Date.now() + options.withinMs;
  let gone: Member[] = [];
  let runs = 0;
  let refreshes = 0;

  async function runSequence(sequence: Iterable<fc.AsyncCommand<Stage['model'], Stage>>): Promise<void> {
    if (Date.now() > endsAt) return;
    runs += 1;
    stage.model.members = [];
    house.provider.endpoints.requests.length = 0;
    // Without anybody most commands would have nobody to be about.
    await stage.logIn('alice', 0);
    await stage.logIn('bob', 1);
    try {
      await fc.asyncModelRun(() => ({ model: stage.model, real: stage }), sequence);
    } finally {
      await mendAll(stage);
    }
    await settle(stage, options.patient);
    await askAll(stage, gone);
    await logOutAll(stage);
    gone = [...gone, ...stage.model.members].slice(-maxGone);
    refreshes += stage.refreshes().length;
  }

  try {
    const all = options.patient ? [...commands, ...slowCommands] : commands;
    const details = await fc.check(
      fc.asyncProperty(
        fc.commands(all, { maxCommands: options.maxCommands, size: 'max', disableReplayLog: true }),
        runSequence,
      ),
      // Sequences take seconds and depend on time: a failing one is shown as it was, not made smaller.
      { seed: options.seed, numRuns: options.runs, endOnFailure: true, plugins: [fc.unbiased()] },
    );
    const [sequence] = (details.counterexample ?? []) as unknown[];
    const failure = details.failed
      ? `seed ${options.seed}, sequence ${runs}: ${String(sequence)}\n${String(details.errorInstance)}`
      : undefined;
    return { seed: options.seed, runs, commands: stage.done, answers: stage.witness.tally, refreshes, failure };
  } finally {
    await house.close();
  }
}

/** The report as a paragraph. */
export function paragraphOf({ seed, runs, commands, answers, refreshes, failure }: ModelReport): string {
  const total = (counts: Map<string, number>): number => [...counts.values()].reduce((sum, count) => sum + count, 0);
  const seen = [...answers].sort(([, a], [, b]) => b - a).map(([answer, count]) => `${answer}: ${count}`);
  return [
    `The last run: seed ${seed}, ${runs} sequences, ${total(commands)} commands of ${commands.size} kinds, ${refreshes} refreshes.`,
    `${total(answers)} answers: ${seen.join(', ')}.`,
    failure === undefined ? 'No promise was broken.' : 'A promise was broken.',
  ].join(' ');
}

async function mendAll(stage: Stage): Promise<void> {
  for (const { fault } of stage.model.faults) await stage.mend(fault);
  await stage.quiet();
}

/** All is mended: a new login works on every replica, and whoever is signed in, and only they, are served again. */
async function settle(stage: Stage, patient: boolean): Promise<void> {
  const { house, witness, model } = stage;
  const replicas = [...house.replicas.keys()];
  let fresh: Member | undefined;
  await until(
    async () => (fresh ??= await stage.logIn('alice', 0)) !== undefined,
    servedAgainMs,
    () => pause(200),
  );
  const isServed = async (member: Member): Promise<boolean> => {
    const outcomes = await Promise.all(replicas.map((on) => witness.ask(member, 'GET /api/x', { on })));
    const [one, ...others] = new Set(outcomes.map(({ kind }) => kind));
    return others.length === 0 && (one === 'signed-out' || (one === 'signed-in' && !isToEnd(member.session)));
  };
  for (const member of patient ? model.members : model.members.filter((one) => one === fresh || isToEnd(one.session))) {
    await until(
      () => isServed(member),
      servedAgainMs,
      () => pause(200),
    ).catch(() => witness.object(member.session, 'is not served again'));
    stage.judge();
  }
  await askAll(stage, model.members);
  stage.judge();
}

/** Its end could not be written at once; it is by now, or soon. */
function isToEnd({ refusedAt }: SessionModel): boolean {
  return [...refusedAt.values()].some((instant) => instant < Infinity);
}

async function askAll(stage: Stage, members: readonly Member[]): Promise<void> {
  const asked = members.flatMap((member) =>
    [...stage.house.replicas.keys()].flatMap((on) =>
      questions.map((question) => stage.witness.ask(member, question, { on })),
    ),
  );
  await Promise.all(asked);
  stage.judge();
}

async function logOutAll(stage: Stage): Promise<void> {
  const { model, witness } = stage;
  for (const member of model.members) {
    member.session.endingAt = Math.min(member.session.endingAt, Date.now());
    const answer = await witness.send(member, 'POST /bff/logout', { on: 0 });
    if (answer?.status === 200) member.session.endedAt = Math.min(member.session.endedAt, Date.now());
    else witness.object(member.session, `was not logged out: ${answer?.status} ${answer?.body}`);
  }
  stage.judge();
}
