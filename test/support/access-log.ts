// What Postern says it answered: its own log, one line a request.

export interface LoggedAnswer {
  method: string;
  path: string;
  status: number;
  /** The code of a problem. */
  code?: string;
}

/** The answers in these log lines, in order. */
export function answersIn(log: readonly string[]): LoggedAnswer[] {
  const lines = log.map((line) => JSON.parse(line) as LoggedAnswer & { msg: string });
  return lines.filter(({ msg }) => msg === 'request');
}
