// A campaign: fault after fault over a living house, and a table of what users saw of each.
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../support/until.ts';
import { gatherCrowd } from './crowd.ts';
import type { Sight } from './crowd.ts';
import type { Fault } from './faults.ts';
import { startHouse } from './house.ts';

const faultLastsMs = 4_000;

export interface Finding {
  fault: Fault;
  sight: Sight;
  /** From the mending of the fault until every user's call worked on every replica. */
  recoveredAfterMs: number;
}

export interface Report {
  findings: Finding[];
  violations: string[];
}

/** Runs the faults in order, each followed by the wait until all is well again; throws when it is not within 90 s. */
export async function runCampaign(faults: readonly Fault[], users: number): Promise<Report> {
  const house = await startHouse();
  const crowd = await gatherCrowd(house, users);
  const findings: Finding[] = [];
  try {
    for (const fault of faults) {
      await until(() => crowd.isWell(), 90_000);
      await crowd.logOutOne();
      crowd.look();
      await fault.begin(house);
      await pause(faultLastsMs);
      await fault.mend(house);
      const mendedAt = performance.now();
      await until(() => crowd.isWell(), 90_000);
      findings.push({ fault, sight: crowd.look(), recoveredAfterMs: performance.now() - mendedAt });
    }
  } finally {
    await crowd.stop();
    await house.close();
  }
  return { findings, violations: crowd.violations };
}

/** The report as a Markdown table. */
export function tableOf({ findings }: Report): string {
  const rows = findings.map(({ fault, sight, recoveredAfterMs }) => {
    const total = [...sight.statuses.values()].reduce((sum, count) => sum + count, 0);
    const seen = [...sight.statuses]
      .sort(([, a], [, b]) => b - a)
      .map(([status, count]) => `${status}: ${((100 * count) / total).toFixed(1)} %`)
      .join(', ');
    return `| ${fault.name} | ${seen} | ${sight.lost} | ${(recoveredAfterMs / 1000).toFixed(1)} s |`;
  });
  return [
    '| fault, 4 s | what callers saw | sessions lost | all well again after |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
}
