// What a rule across keys sees, and what it says. Each rule is a function of a RuleContext and gives its findings.
import type { Path } from './problem.ts';
import type { Config } from './schema.ts';
import type { Draft } from './shape.ts';

/** A rule that the configuration breaks, and the value to change. */
export interface Finding {
  path: Path;
  message: string;
}

/** What rules may ask beside the values. */
export interface RuleContext {
  draft: Draft<Config>;
  /** Whether the file says anything at a path, be it right or wrong. */
  isGiven: (path: Path) => boolean;
  readFile: (path: string) => string;
}
