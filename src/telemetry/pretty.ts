// Log lines for a person at a terminal.

/** Turns one JSON line into `14:03:59 warn  what happened  key=value`. Values stay JSON, so that nothing in them can begin a line of its own. */
export function prettyLine(json: string): string {
  const { time, level, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const words = [
    String(time).slice(11, 19),
    String(level).padEnd(5),
    ...(typeof msg === 'string' ? [oneLine(msg)] : []),
    ...rest,
  ];
  return `${words.join(' ')}\n`;
}

function oneLine(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
