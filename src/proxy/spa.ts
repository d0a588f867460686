// The single-page app itself: built files from a directory, or a development server behind us.
// The app's files set no cookie and depend on none, so they may be cached; only what says by its name that it never changes is cached for good.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { resolve } from 'node:path';
import express from 'express';
import type { Config } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import type { SendError } from '../http/error-response.ts';
import { isNavigation } from '../http/navigation.ts';
import { contextFor } from '../http/request-context.ts';
import type { SecurityHeaders } from '../http/security-headers.ts';
import type { SessionCookie } from '../session/cookie.ts';
import type { Logger } from '../telemetry/log.ts';
import type { UpstreamTimeLimits } from './forward.ts';
import { createForward } from './forward.ts';
import { createResponseHeaders } from './response-headers.ts';
import { parseUpstream } from './routes.ts';
import type { UpstreamConnections } from './upstream-connections.ts';
import { createUpstreamHeaders } from './upstream-headers.ts';

/** Serves what no endpoint and no route serves. The request must have been begun (http/request-context). */
export type Spa = (request: IncomingMessage, response: ServerResponse, target: { path: string; query: string }) => void;

export interface SpaOptions {
  /** Undefined: somebody else serves the app, and all there is to say here is `no_route`. */
  settings: Config['spa'];
  publicUrl: string;
  cookie: Pick<SessionCookie, 'isOwn'>;
  connections: UpstreamConnections;
  securityHeaders: Pick<SecurityHeaders, 'app'>;
  /** Where a form logout may be redirected to: known once discovery has found the provider, so asked each time. */
  endSessionOrigins: () => readonly string[];
  sendProblem: SendError;
  log: Logger;
}

export function createSpa(options: SpaOptions): Spa {
  const { settings, sendProblem } = options;
  if (settings === undefined) {
    return (request, response) => sendProblem(request, response, new PosternError('no_route'));
  }
  const serve = 'directory' in settings ? createFiles(options, settings) : createDevServer(options, settings.upstream);
  return (request, response, target) => {
    contextFor(request).route = 'spa';
    serve(request, response, target);
  };
}

type FileSettings = Extract<Config['spa'], { directory: string }>;

const forGood = 'public, max-age=31536000, immutable';
const askEachTime = 'no-cache';

// Where Vite puts what it hashes; and main.4f3a2b1c.js or main-K3J5HQ7A.js, as other bundlers name it.
const hashedName = /^\/assets\/|[.-](?=\w*\d)(?=\w*[A-Za-z])(?:[0-9a-f]{8,}|[0-9A-Z]{8})\.\w+$/;
const fileName = /\.[^./]+$/;

// Files, and index.html for every navigation that is no file: the app itself routes those.
function createFiles(options: SpaOptions, settings: FileSettings): Spa {
  const { sendProblem, log } = options;
  const directory = resolve(settings.directory);
  const appHeaders = createAppHeaders(options, settings.contentSecurityPolicy);
  const files = express.static(directory, {
    cacheControl: false,
    dotfiles: 'ignore',
    redirect: false,
    setHeaders(response: ServerResponse, file: string) {
      const path = file.slice(directory.length).replaceAll('\\', '/');
      response.setHeader('Cache-Control', hashedName.test(path) ? forGood : askEachTime);
      response.setHeaders(appHeaders());
    },
  }) as FileServer;

  function serveFile(request: IncomingMessage, response: ServerResponse, otherwise: () => void): void {
    files(request, response, (error) => {
      if (error === undefined) {
        otherwise();
        return;
      }
      log.error({ requestId: contextFor(request).requestId, err: error }, 'a file of the app could not be read');
      sendProblem(request, response, new PosternError('internal_error', { cause: error }));
    });
  }

  return function serveApp(request, response, { path }) {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      sendProblem(request, response, new PosternError('method_not_allowed', { headers: { allow: 'GET, HEAD' } }));
      return;
    }
    const refuse = (): void => sendProblem(request, response, new PosternError('no_route'));
    serveFile(request, response, () => {
      if (!isNavigation(request.headers) || fileName.test(path)) {
        refuse();
        return;
      }
      request.url = '/index.html';
      serveFile(request, response, refuse);
    });
  };
}

// express.static asks nothing of Express: plain requests and responses of Node will do.
type FileServer = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;

// Made anew only when the provider's origin becomes known or changes.
function createAppHeaders(
  { securityHeaders, endSessionOrigins }: SpaOptions,
  contentSecurityPolicy: string | undefined,
): () => Map<string, string> {
  let madeFor: string | undefined;
  let headers = new Map<string, string>();
  return () => {
    const origins = endSessionOrigins();
    const key = origins.join(' ');
    if (key !== madeFor) {
      headers = new Map(Object.entries(securityHeaders.app(contentSecurityPolicy, origins)));
      madeFor = key;
    }
    return headers;
  };
}

// A development server bundles while the browser waits.
const devServerLimits: UpstreamTimeLimits = { connectMs: 5_000, headersMs: 120_000, idleMs: 300_000 };

// No token, no cookie of ours, and none of the headers that would keep the scripts from running. History fallback is the server's own.
function createDevServer({ publicUrl, cookie, connections, sendProblem }: SpaOptions, url: string): Spa {
  const upstream = parseUpstream(url);
  const passesCookie = (name: string): boolean => !cookie.isOwn(name);
  const upstreamHeaders = createUpstreamHeaders({ publicUrl, authority: upstream.authority, passesCookie });
  const forward = createForward({
    connection: connections.to(upstream),
    limits: devServerLimits,
    responseHeaders: createResponseHeaders({
      securityHeaders: {},
      passesCookie,
      cache: 'upstream',
      variesByCookie: false,
    }),
    onFailure: sendProblem,
  });

  return function serveFromDevServer(request, response, { path, query }) {
    const { clientAddress, forwardedFor, requestId } = contextFor(request);
    forward(request, response, {
      target: upstream.basePath + path + query,
      headers: upstreamHeaders(request, { clientAddress, forwardedFor, requestId, bearer: undefined }),
    });
  };
}
