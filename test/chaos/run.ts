// `npm run test:chaos`: the whole campaign, some minutes long. Prints the table; with `--write` it goes into docs/reliability.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { runCampaign, tableOf } from './campaign.ts';
import { faults } from './faults.ts';

const page = new URL('../../docs/reliability.md', import.meta.url);
const [begin, end] = ['<!-- chaos table begins -->', '<!-- chaos table ends -->'];

const report = await runCampaign(faults, 20);
const table = tableOf(report);
console.log(table);
for (const violation of report.violations) console.error(violation);
const lost = report.findings.filter(({ fault, sight }) => fault.mayEndSessions !== true && sight.lost > 0);
for (const { fault } of lost) console.error(`sessions were lost: ${fault.name}`);
if (process.argv.includes('--write')) {
  const text = readFileSync(page, 'utf8');
  writeFileSync(
    page,
    `${text.slice(0, text.indexOf(begin) + begin.length)}\n\n${table}\n\n${text.slice(text.indexOf(end))}`,
  );
}
process.exitCode = report.violations.length + lost.length === 0 ? 0 : 1;
