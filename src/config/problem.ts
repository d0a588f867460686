// What is wrong with a configuration, said in one line: where, which key, what is the matter, and the nearest valid name.

/** The way to a value: keys and list positions, from the root. */
export type Path = readonly (string | number)[];

/** A place in the file, counted from 1 as editors do. */
export interface Position {
  line: number;
  column: number;
}

/** One thing to mend, or in a warning to consider. `message` is one line and never holds a secret's value. */
export interface Problem {
  /** The file, or `environment`. */
  where: string;
  position?: Position;
  path: Path;
  message: string;
}

/** `postern.yaml:7:5 provider.scops: unknown key; did you mean "scopes"?` */
export function formatProblem(problem: Problem, kind: 'problem' | 'warning' = 'problem'): string {
  const { where, position, path, message } = problem;
  const place = position === undefined ? where : `${where}:${position.line}:${position.column}`;
  const severity = kind === 'warning' ? ' warning:' : '';
  const key = path.length === 0 ? '' : ` ${formatPath(path)}:`;
  const subject = severity + key;
  return `${place}${subject === '' ? ':' : subject} ${message}`;
}

/** `routes[2].path`, and keys that are no plain words in quotes. */
export function formatPath(path: Path): string {
  return path.map(formatSegment).join('');
}

/** Text of the file for a message: who a URL in it logs in as, and with which password, is left out. */
export function withoutPassword(text: string): string {
  return text.replace(/\/\/\S*@/g, '//[redacted]@');
}

/** In the order of the file, each only once. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  const line = (problem: Problem) => problem.position?.line ?? Infinity;
  const column = (problem: Problem) => problem.position?.column ?? Infinity;
  const distinct = new Map(problems.map((problem) => [formatProblem(problem), problem]));
  return [...distinct.values()].sort((a, b) => compare(line(a), line(b)) || compare(column(a), column(b)));
}

function formatSegment(segment: string | number, index: number): string {
  if (typeof segment === 'number') return `[${segment}]`;
  if (!/^[A-Za-z0-9_-]+$/.test(segment)) return `[${JSON.stringify(withoutPassword(segment))}]`;
  return index === 0 ? segment : `.${segment}`;
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a - b;
}
