// The Express app: the endpoints under the base path, and one error handler at their end.
import type { RequestListener } from 'node:http';
import express from 'express';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { PosternError } from '../errors.ts';
import { contextFor } from './request-context.ts';
import type { SecurityHeaders } from './security-headers.ts';

/** One row of the table in app.ts. */
export interface Endpoint {
  method: 'GET' | 'POST' | 'DELETE';
  /** Below the base path; `:name` is a parameter. Several methods may share a path. */
  path: string;
  handler: RequestHandler;
}

export interface EndpointsOptions {
  basePath: string;
  endpoints: readonly Endpoint[];
  securityHeaders: SecurityHeaders;
  onError: ErrorRequestHandler;
}

/** Answers 404 `no_route` and 405 `method_not_allowed` for what is in no row. Every answer has the headers of our own, `no-store` and `Vary: Cookie`. */
export function createEndpoints({ basePath, endpoints, securityHeaders, onError }: EndpointsOptions): RequestListener {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  const ownHeaders = new Map(Object.entries({ ...securityHeaders.own, 'cache-control': 'no-store', vary: 'Cookie' }));
  app.use(basePath, (_request, response, next) => {
    response.setHeaders(ownHeaders);
    next();
  });
  for (const [path, rows] of Map.groupBy(endpoints, ({ path }) => path)) {
    const allow = rows.map(({ method }) => method).join(', ');
    app.all(basePath + path, (request, response, next) => {
      contextFor(request).route = basePath + path;
      const row = rows.find(({ method }) => method === request.method);
      if (row === undefined) throw new PosternError('method_not_allowed', { headers: { allow } });
      return row.handler(request, response, next);
    });
  }
  app.use(basePath, () => {
    throw new PosternError('no_route');
  });
  app.use(onError);
  return app;
}
