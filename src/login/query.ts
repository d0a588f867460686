// The query of a request. A parameter that is given twice means two things to two readers, so here it means nothing.
import type { IncomingMessage } from 'node:http';

/** The query's parameters, decoded; none when there is no query. */
export function queryOf(request: IncomingMessage): URLSearchParams {
  const { url = '' } = request;
  const start = url.indexOf('?');
  return new URLSearchParams(start === -1 ? '' : url.slice(start));
}

/** The value of a parameter that is there once. */
export function singleValue(query: URLSearchParams, name: string): string | undefined {
  const [value, ...others] = query.getAll(name);
  return others.length === 0 ? value : undefined;
}
