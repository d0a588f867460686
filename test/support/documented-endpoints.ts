// Which endpoints a page documents and which the application has, in the same words.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** From a page's tables: rows that begin with a method and a path, such as `GET /bff/login`; sorted. */
export function endpointsOf(markdown: string): string[] {
  return Array.from(
    markdown.matchAll(/^\| (GET|POST|DELETE) `([^`]+)`/gm),
    ([, method, path]) => `${method} ${path}`,
  ).sort();
}

/** From the table in src/app.ts; sorted. */
export function endpointsOfApp(): string[] {
  const source = readFileSync(join(import.meta.dirname, '../../src/app.ts'), 'utf8');
  const rows = Array.from(
    source.matchAll(/method: '(\w+)',\s+path: '([^']+)'/g),
    ([, method, path]) => `${method} /bff${path}`,
  );
  return rows.sort();
}
