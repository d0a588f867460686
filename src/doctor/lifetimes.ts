// How long what lives, as this configuration has it, and what may make it shorter.
import { remarkOn } from '../config/explain.ts';
import type { Config } from '../config/schema.ts';
import { formatDuration } from '../config/units.ts';

export interface Lifetime {
  /** The key of the configuration. */
  key: string;
  value: string;
  remark?: string;
}

export function lifetimesOf(config: Config): Lifetime[] {
  const { session, login, cookie } = config;
  const span = (path: [string, string], seconds: number | undefined, without = ''): Lifetime => {
    const remark = remarkOn(config, path);
    const value = seconds === undefined ? without : formatDuration(seconds);
    return { key: path.join('.'), value, ...(remark !== undefined && seconds !== undefined && { remark }) };
  };
  return [
    span(['session', 'idleTimeout'], session.idleTimeout),
    span(['session', 'absoluteTimeout'], session.absoluteTimeout),
    span(['session', 'refreshBefore'], session.refreshBefore),
    span(['login', 'maxAge'], login.maxAge, 'the provider decides'),
    {
      key: 'cookie.persistent',
      value: String(cookie.persistent),
      remark: cookie.persistent
        ? `the cookie lives for ${formatDuration(session.absoluteTimeout)}`
        : 'the cookie goes with the browser',
    },
  ];
}
