// What doctor has to say about one thing, in a sentence or two that an operator can act on.

export type Level =
  | 'ok'
  /** Works, and is worth knowing. */
  | 'note'
  /** Works, and its operator would most likely want it otherwise. */
  | 'warning'
  /** Something would not work. */
  | 'failure';

export interface Observation {
  /** What it is about: a name that stays the same. */
  about: string;
  level: Level;
  text: string;
  /** The key of the configuration to change, where that is what helps. */
  key?: string;
}

/** An observation in one line of source. */
export function observe(about: string, level: Level, text: string, key?: string): Observation {
  return { about, level, text, ...(key !== undefined && { key }) };
}

/** Whether everything would work. */
export function isHealthy(observations: readonly Observation[]): boolean {
  return observations.every(({ level }) => level !== 'failure');
}
