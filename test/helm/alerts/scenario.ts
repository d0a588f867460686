// What Prometheus sees, and which alert that is. A sample is taken every 30 seconds.

export interface Scenario {
  what: string;
  /** Samples by series, in promtool's notation, from minute 0 on. */
  series: Record<string, string>;
  /** When to look. */
  at: string[];
  /** The labels that the alert has then, beside those that all have; without them it must be silent. */
  fires?: Record<string, string>;
}

/** By alert: series that make it fire, and series that do not. */
export type Scenarios = Record<string, Scenario[]>;

/** The labels of the one pod that is looked at. */
export const pod = { instance: 'a', pod: 'postern-a' };

export const degraded = (part: string): string => `postern_degraded{part="${part}", instance="a", pod="postern-a"}`;

/** Every half minute from one minute to another. */
export function throughout(from: number, to: number): string[] {
  return Array.from({ length: (to - from) * 2 + 1 }, (_, i) => `${from * 60 + i * 30}s`);
}
