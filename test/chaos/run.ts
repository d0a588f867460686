// `npm run test:chaos`: the campaign and the run by commands, some minutes each. With `--write` what they found goes into docs/reliability.md.
// `-- commands --seed 42 --runs 5 --length 30` repeats sequences of commands without the campaign; `-- faults` is the campaign alone.
import { randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runCampaign, tableOf } from './campaign.ts';
import { faults } from './faults.ts';
import { paragraphOf, runModel } from './model-run.ts';

const page = new URL('../../docs/reliability.md', import.meta.url);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    write: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    runs: { type: 'string', default: '12' },
    length: { type: 'string', default: '60' },
  },
});
const parts = positionals.length === 0 ? ['faults', 'commands'] : positionals;
const broken: string[] = [];

if (parts.includes('faults')) {
  const report = await runCampaign(faults, 20);
  const lost = report.findings.filter(({ fault, sight }) => fault.mayEndSessions !== true && sight.lost > 0);
  broken.push(...report.violations, ...lost.map(({ fault }) => `sessions were lost: ${fault.name}`));
  show('chaos table', tableOf(report));
}

if (parts.includes('commands')) {
  console.log(`the sequences of seed ${values.seed}`);
  const report = await runModel({
    seed: Number(values.seed),
    runs: Number(values.runs),
    maxCommands: Number(values.length),
    withinMs: 10 * 60_000,
    patient: true,
  });
  if (report.failure !== undefined) broken.push(report.failure);
  show('chaos commands', paragraphOf(report));
}

for (const promise of broken) console.error(promise);
process.exitCode = broken.length === 0 ? 0 : 1;

/** Prints what was found and, if asked to, puts it in its place on the page. */
function show(place: string, found: string): void {
  console.log(found);
  if (!values.write) return;
  const [begin, end] = [`<!-- ${place} begins -->`, `<!-- ${place} ends -->`];
  const text = readFileSync(page, 'utf8');
  if (!text.includes(begin) || !text.includes(end)) throw new Error(`docs/reliability.md has no place for "${place}"`);
  writeFileSync(
    page,
    `${text.slice(0, text.indexOf(begin) + begin.length)}\n\n${found}\n\n${text.slice(text.indexOf(end))}`,
  );
}
