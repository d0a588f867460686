// What no endpoint and no route serves belongs to the single-page app: built files from a directory, or a development server behind us.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import { contextFor } from '../http/request-context.ts';
import { createAppFiles } from './app-files.ts';
import type { AppFilesOptions } from './app-files.ts';
import { createDevServer } from './dev-server.ts';
import type { DevServerOptions } from './dev-server.ts';

/** Serves what no endpoint and no route serves. The request must have been begun (http/request-context). */
export type Spa = (request: IncomingMessage, response: ServerResponse, target: { path: string; query: string }) => void;

export interface SpaOptions extends Omit<AppFilesOptions, 'settings'>, Omit<DevServerOptions, 'url'> {
  /** Undefined: somebody else serves the app, and all there is to say here is `no_route`. */
  settings: Config['spa'];
}

/** Answers 404 `no_route` where somebody else serves the app. */
export function createSpa(options: SpaOptions): Spa {
  const { settings, sendProblem } = options;
  if (settings === undefined) {
    return (request, response) => sendProblem(request, response, new PosternError('no_route'));
  }
  const serve = createApp(settings, options);
  return (request, response, target) => {
    contextFor(request).route = 'spa';
    serve(request, response, target);
  };
}

function createApp(settings: NonNullable<Config['spa']>, options: SpaOptions): Spa {
  if ('upstream' in settings) return createDevServer({ ...options, url: settings.upstream });
  const serveFiles = createAppFiles({ ...options, settings });
  // Without the target, which Express would take for its `next`.
  return (request, response) => serveFiles(request, response);
}
