// The report for people: a part for each question, columns that stay readable without colour.
import type { Observation } from './observation.ts';
import type { Report } from './report.ts';

const width = 110;
/** Rather a line that is too long than a column of single words. */
const leastRoom = 40;
const levelWidth = 9;

export function formatReport(report: Report): string {
  const { provider, store, register, lifetimes, keys, warnings, file } = report;
  const aboutWidth =
    Math.max(...[...provider.observations, ...store.observations].map(({ about }) => about.length)) + 2;
  const observations = (list: readonly Observation[]): string[] =>
    list.map(({ level, about, text, key }) =>
      hang(`  ${level.padEnd(levelWidth)}${about.padEnd(aboutWidth)}`, key === undefined ? text : `${text} [${key}]`),
    );
  const parts: [title: string, lines: string[]][] = [
    [`Provider ${provider.issuer}`, observations(provider.observations)],
    [`Store (${store.kind})`, observations(store.observations)],
    ['To register at the provider', rows(register.map(({ field, value, label }) => [field, value, label]))],
    ['Lifetimes', rows(lifetimes.map(({ key, value, remark }) => [key, value, remark]))],
    ['Session keys', keys.map((line) => `  ${line}`)],
    ['Warnings of the configuration', warnings.map((line) => `  ${line}`)],
  ];
  const shown = parts.filter(([, lines]) => lines.length > 0);
  return [...shown.map(([title, lines]) => [title, ...lines, ''].join('\n')), verdict(report, file), ''].join('\n');
}

function verdict({ provider, store }: Report, file: string): string {
  const failures = failuresOf([...provider.observations, ...store.observations]).length;
  if (failures === 0) return `${file}: everything would work`;
  return `${file}: ${failures === 1 ? 'one thing' : `${failures} things`} would not work`;
}

/** One line each, for `postern check --online`. */
export function failureLines({ provider, store }: Report): string[] {
  const line =
    (part: string) =>
    ({ about, text, key }: Observation) =>
      `${part}: ${about}: ${text}${key === undefined ? '' : ` [${key}]`}`;
  return [
    ...failuresOf(provider.observations).map(line('provider')),
    ...failuresOf(store.observations).map(line('store')),
  ];
}

function failuresOf(observations: readonly Observation[]): Observation[] {
  return observations.filter(({ level }) => level === 'failure');
}

function rows(cells: readonly (readonly [string, string, string | undefined])[]): string[] {
  const [first, second] = [0, 1].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)) + 2);
  return cells.map(([name, value, more]) => {
    const start = `  ${name.padEnd(first ?? 0)}`;
    return more === undefined ? start + value : hang(start + value.padEnd(second ?? 0), more);
  });
}

/** Breaks a text between words; its later lines begin where the first one does. */
function hang(start: string, text: string): string {
  const room = Math.max(width - start.length, leastRoom);
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= room) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return start + lines.join(`\n${' '.repeat(start.length)}`);
}
