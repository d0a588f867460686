// From a file to a configuration, or to everything that is wrong with it at once. Nothing here touches the machine:
// the file, the secrets and the environment come in by `Outside`.
import { dirname, resolve } from 'node:path';
import { parseYaml } from './document.ts';
import type { ParsedDocument } from './document.ts';
import { mistakesFrom, phraseFor } from './issues.ts';
import { sortProblems } from './problem.ts';
import type { Path, Problem } from './problem.ts';
import { createReadSecret, reasonFor } from './read-secret.ts';
import type { Outside } from './read-secret.ts';
import { brokenEnvironment, brokenRules } from './rules.ts';
import { createConfigSchema } from './schema.ts';
import type { Config } from './schema.ts';
import { Secret } from './secret.ts';
import { salvage } from './shape.ts';
import { warningsFor } from './warnings.ts';

export type LoadOutcome =
  | {
      kind: 'ok';
      /** Deeply frozen. */
      config: Config;
      /** The file as it was read. */
      text: string;
      warnings: Problem[];
      /** The line that gives a value; undefined for a default. */
      lineOf: (path: Path) => number | undefined;
    }
  | { kind: 'invalid'; problems: Problem[] };

/** Reads, checks and completes the configuration at `path`. Relative paths in it are relative to it. Never throws. */
export function loadConfig({ path, ...outside }: { path: string } & Outside): LoadOutcome {
  const environment = brokenEnvironment(outside.env).map((finding) => ({ where: 'environment', ...finding }));
  let text: string;
  try {
    text = outside.readFile(path);
  } catch (error) {
    const unreadable = {
      where: path,
      path: [],
      message: `the configuration cannot be read: ${reasonFor(error)} (--config FILE names another)`,
    };
    return { kind: 'invalid', problems: [unreadable, ...environment] };
  }

  const document = parseYaml(text);
  const place = (at: Path, message: string, part: 'key' | 'value' = 'value'): Problem => {
    return { where: path, position: document.positionOf(at, part), path: at, message };
  };
  const syntax = document.mistakes.map(({ position, message }) => ({ where: path, position, path: [], message }));
  const judged = document.readable ? judge(document, { path, ...outside }) : undefined;
  const mistakes = (judged?.mistakes ?? []).map((mistake) => place(mistake.path, mistake.message, mistake.part));
  const broken = (judged?.broken ?? []).map((finding) => place(finding.path, finding.message));
  const problems = sortProblems([...syntax, ...mistakes, ...broken, ...environment]);
  if (judged?.config === undefined || problems.length > 0) return { kind: 'invalid', problems };

  return {
    kind: 'ok',
    config: freeze(judged.config),
    text,
    warnings: sortProblems(warningsFor(judged.config, outside).map((finding) => place(finding.path, finding.message))),
    lineOf: (at) => (document.has(at) ? document.positionOf(at).line : undefined),
  };
}

function judge(
  document: ParsedDocument,
  { path, readFile, env }: { path: string } & Pick<Outside, 'readFile' | 'env'>,
) {
  const directory = dirname(resolve(path));
  const schema = createConfigSchema(createReadSecret({ readFile, env }), (file) => resolve(directory, file));
  const value = document.value ?? {};
  const parsed = schema.safeParse(value, { error: phraseFor });
  const draft = parsed.success ? parsed.data : (salvage(schema, value) ?? {});
  return {
    config: parsed.data,
    mistakes: parsed.success ? [] : mistakesFrom(parsed.error.issues, { schema, value }),
    broken: brokenRules({ draft, isGiven: (at) => document.has(at), readFile }),
  };
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Secret || Object.isFrozen(value)) return value;
  Object.values(value).forEach(freeze);
  return Object.freeze(value);
}
