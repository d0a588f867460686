// Which Node may run Postern: none older than the security releases of July 2026, which mended the HTTP parser and TLS that everything here stands on.

// No 22: its HTTP server leaves answers that wait behind a pipelined request open when their connection dies, so the places they hold at an upstream would be
// held for ever, and a stranger could shut the upstream off.
const oldestOf: Readonly<Record<number, readonly [minor: number, patch: number]>> = {
  24: [18, 1],
  26: [5, 1],
};
const newestLine = 26;

/** Why a Node of this version is refused, in one line; undefined when it is fine. Lines that began after July 2026 hold its fixes from the start. */
export function refusalOf(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version
    .replace(/^v/, '')
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  if (major > newestLine) return undefined;
  const oldest = oldestOf[major];
  if (oldest === undefined) return `Node ${version} is not supported; use ${accepted()}`;
  const [leastMinor, leastPatch] = oldest;
  if (minor > leastMinor || (minor === leastMinor && patch >= leastPatch)) return undefined;
  return `Node ${version} lacks the security fixes of July 2026; use ${accepted()}`;
}

function accepted(): string {
  const lines = Object.entries(oldestOf).map(([major, [minor, patch]]) => `${major}.${minor}.${patch}`);
  return `${lines.join(', ')} or a later release of one of these lines`;
}
