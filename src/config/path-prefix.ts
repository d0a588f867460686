// What "under a path" means everywhere: on segment boundaries, so that /api does not hold /apixyz.

/** Whether `path` is `prefix` or under it. */
export function isUnder(path: string, prefix: string): boolean {
  return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`);
}
