// The embedded store's index: sessions under a key until their absolute end, as the sorted sets of redis-scripts.ts.
import { ExpiringMap } from './expiring-map.ts';

/** `now` is epoch ms, the store's clock. */
export function createMemoryIndex(now: () => number) {
  const keys = new ExpiringMap<Map<string, number>>(now);

  // A key lives as long as the last session under it.
  function keep(key: string, members: Map<string, number>): void {
    for (const [h, endsAt] of members) if (endsAt <= now()) members.delete(h);
    if (members.size === 0) keys.delete(key);
    else keys.set(key, members, Math.max(...members.values()) - now());
  }

  return {
    add(key: string, h: string, absoluteMs: number): void {
      keep(key, (keys.get(key) ?? new Map<string, number>()).set(h, now() + absoluteMs));
    },
    /** In the order of their ends; those that end together by name, as Redis has them. */
    find(key: string): string[] {
      return [...(keys.get(key) ?? [])]
        .filter(([, endsAt]) => endsAt > now())
        .sort(([h, endsAt], [otherH, otherEndsAt]) => endsAt - otherEndsAt || (h < otherH ? -1 : 1))
        .map(([h]) => h);
    },
    remove(key: string, h: string): void {
      const members = keys.get(key);
      if (members?.delete(h) === true) keep(key, members);
    },
    sweep: () => keys.sweep(),
  };
}
