// What `print --explain` and `check` say beside a value: what comes of it once Postern runs, where the value alone does not tell.
import { settlingSeconds } from './key-rules.ts';
import type { Path } from './problem.ts';
import type { Config } from './schema.ts';
import { formatDuration } from './units.ts';

/** A remark on the value at `path`, or undefined. */
export function remarkOn(config: Config, path: Path): string | undefined {
  const [section, key, index] = path;
  if (section === 'session' && key === 'keys' && typeof index === 'number') return keyRemark(config.session, index);
  switch (path.join('.')) {
    case 'session.absoluteTimeout':
      return 'less where the refresh token ends earlier, unless a refresh moves that end; without a refresh token the access token’s life, where a route sends it';
    case 'session.refreshBefore':
      return `a fifth of the lifetime for access tokens that live less than ${formatDuration(config.session.refreshBefore * 5)}`;
    case 'login.maxAge':
      return 'a login may ask for less';
    default:
      return undefined;
  }
}

/** Which key of the ring signs, and how long the others are needed: one line for each. Nothing for a single key. */
export function describeKeys({ session }: Pick<Config, 'session'>): string[] {
  if (session.keys.length === 1) return [];
  return session.keys.map((key, index) => `session.keys[${index}] (${key.origin}) ${keyRemark(session, index)}`);
}

function keyRemark({ keys, absoluteTimeout }: Config['session'], index: number): string {
  const settling = formatDuration(settlingSeconds);
  if (keys.length === 1) return 'signs and seals';
  const lifetime = formatDuration(absoluteTimeout);
  switch (index) {
    case 0:
      return `signs and seals once a process has known it for ${settling}`;
    case 1:
      return `signs and seals until then; needed until ${lifetime} and ${settling} after the last process has started`;
    default:
      return `only opens; needed until ${lifetime} after the last process has taken session.keys[0] over`;
  }
}
