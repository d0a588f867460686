// The image's recipe as its builder reads it: stages of instructions.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Instruction {
  /** In capitals: COPY, RUN, … */
  name: string;
  /** What follows it, on one line. */
  rest: string;
}

export interface Stage {
  base: string;
  /** What later stages call it. */
  name: string | undefined;
  instructions: Instruction[];
}

/** What a COPY copies: paths in another stage, or in the clone. */
export interface Copy {
  from: string | undefined;
  sources: string[];
  target: string;
}

/** Reads the clone's Dockerfile; the last stage is the image. */
export function readDockerfile(): Stage[] {
  const text = readFileSync(join(import.meta.dirname, '../../Dockerfile'), 'utf8');
  const lines = text.replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n\s*/g, '');
  const stages: Stage[] = [];
  for (const [, name = '', rest = ''] of lines.matchAll(/^([A-Z]+) (.+)$/gm)) {
    if (name === 'FROM') stages.push(stageOf(rest));
    else stages.at(-1)!.instructions.push({ name, rest });
  }
  return stages;
}

/** What the stage says under one name, in its order. */
export function saidBy(stage: Stage, name: string): string[] {
  return stage.instructions.filter((instruction) => instruction.name === name).map(({ rest }) => rest);
}

export function parseCopy(rest: string): Copy {
  const words = rest.split(' ');
  const from = words[0]!.startsWith('--from=') ? words.shift()!.slice('--from='.length) : undefined;
  return { from, sources: words.slice(0, -1), target: words.at(-1)! };
}

/** `A=b C="d e"`, as ENV and LABEL have it. */
export function parsePairs(lines: string[]): Record<string, string> {
  const pairs = lines.flatMap((line) => Array.from(line.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S+))/g)));
  return Object.fromEntries(pairs.map(([, name, quoted, bare]) => [name!, quoted ?? bare!]));
}

function stageOf(rest: string): Stage {
  const [base = '', , name] = rest.split(' ');
  return { base, name, instructions: [] };
}
