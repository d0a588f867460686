// The built app over HTTP: files, and index.html for every navigation that is no file, because the app itself routes those.
// They set no cookie and depend on none, so they may be cached; only what says by its name that it never changes is cached for good.
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import express from 'express';
import type { Request, Response } from 'express';
import type { Config } from '../config/schema.ts';
import { PosternError } from '../errors.ts';
import type { SendError } from '../http/error-response.ts';
import { isNavigation } from '../http/navigation.ts';
import { contextFor } from '../http/request-context.ts';
import type { HeaderList, SecurityHeaders } from '../http/security-headers.ts';
import type { Logger } from '../telemetry/log.ts';
import { createAppDirectory } from './app-directory.ts';
import type { AppFile } from './app-directory.ts';
import { representationOf } from './precompressed.ts';

export interface AppFilesOptions {
  settings: Extract<Config['spa'], { directory: string }>;
  securityHeaders: Pick<SecurityHeaders, 'app'>;
  /** Where a form logout may be redirected to: known once discovery has found the provider, so asked each time. */
  endSessionOrigins: () => readonly string[];
  /** Unguessable and made of letters, digits, - and _. */
  randomId: () => string;
  sendProblem: SendError;
  log: Logger;
}

/** The longest that a client may take none of the bytes that wait for it: they are held in memory, and their file is open. */
const mostUnreadMs = 60_000;

const forGood = 'public, max-age=31536000, immutable';
const askEachTime = 'no-cache';
const never = 'no-store';

// Where SvelteKit and Next.js put what they hash, and names like main.4f3a2b1c.js, main-K3J5HQ7A.js (esbuild, Angular) and main-BcD3xYz_.js (Vite, Rollup).
// A directory called assets says nothing: icons and translations lie in it too. And a word of eight letters must not pass for a hash.
const hashedNames = [
  /^\/(?:_app\/immutable|_next\/static)\//,
  /[.-](?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}(?:\.\w+)+$/,
  /[.-](?=[A-Z]*\d)(?=\d*[A-Z])[0-9A-Z]{8}(?:\.\w+)+$/,
  /[.-](?=[\w-]*[a-z])(?:(?=[\w-]*\d)(?=[\w-]+[A-Z])|(?=[\w-]+[A-Z][\w-]*[A-Z]))[\w-]{8}(?:\.\w+)+$/,
];
// What builds write, and dot files. Any other dot is part of an address: /users/jo.doe, /docs/v1.2.
const fileAddress =
  /\/\.|\.(?:avif|br|bmp|css|csv|eot|gif|gz|html?|ico|jpe?g|js|json|map|md|mjs|mp[34]|ogg|otf|pdf|png|svg|ttf|txt|wasm|wav|web[mp]|webmanifest|woff2?|xml|zip|zst)$/i;

/** Answers GET and HEAD: 200, 206, 304, 412 and 416 as HTTP asks; 404 `no_route` for what is neither a file nor a page, 405 `method_not_allowed`. */
export function createAppFiles(options: AppFilesOptions): RequestListener {
  const { settings, sendProblem, log } = options;
  const { noncePlaceholder } = settings;
  const find = createAppDirectory(settings.directory);
  const headersFor = createAppHeaders(options);

  async function serve(request: Request, response: Response): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw new PosternError('method_not_allowed', { headers: { allow: 'GET, HEAD' } });
    }
    const { path } = request;
    const file = (await find(path)) ?? (isPageOfApp(request) ? await find('/index.html') : undefined);
    if (file === undefined) throw new PosternError('no_route');
    response.vary('Accept-Encoding');
    if (!/^\.html?$/.test(file.extension)) await sendFile(request, response, file);
    else if (noncePlaceholder === undefined) await sendPage(request, response, file);
    else await sendPageWithNonce(response, file, noncePlaceholder);
  }

  async function sendFile(request: Request, response: Response, file: AppFile): Promise<void> {
    const { path, coding } = await representationOf(file, request.headers);
    response.set(headersFor(options.randomId()));
    response.set('Cache-Control', isHashed(request.path) ? forGood : askEachTime);
    response.type(file.extension);
    if (coding !== undefined) response.set('Content-Encoding', coding);
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    response.sendFile(path, { dotfiles: 'allow', cacheControl: false }, (error: unknown) => {
      if (error instanceof Error) reject(error);
      else resolve(undefined);
    });
    await promise;
  }

  // Its ETag is made of its content: builds that can be repeated leave every file with the same date, and index.html often with the same length.
  async function sendPage(request: Request, response: Response, file: AppFile): Promise<void> {
    const { path, coding } = await representationOf(file, request.headers);
    const body = await readFile(path);
    response.set(headersFor(options.randomId()));
    response.set('Cache-Control', askEachTime).type('html');
    if (coding !== undefined) response.set('Content-Encoding', coding);
    response.send(body);
  }

  // The next response has another nonce, so nobody may keep this one; and no form that was compressed beforehand can hold it.
  async function sendPageWithNonce(response: Response, file: AppFile, placeholder: string): Promise<void> {
    const nonce = options.randomId();
    const text = await readFile(file.path, 'utf8');
    const body = Buffer.from(text.replaceAll(placeholder, nonce));
    response.set(headersFor(nonce));
    response.set('Cache-Control', never).type('html');
    response.set('Content-Length', String(body.length)).end(body);
  }

  function fail(request: Request, response: Response, error: unknown): void {
    // The client has gone; sendFile says so too, before the connection does.
    if (response.destroyed || (error instanceof Error && 'code' in error && error.code === 'ECONNABORTED')) return;
    const { requestId } = contextFor(request);
    if (!response.headersSent) for (const name of response.getHeaderNames()) response.removeHeader(name);
    if (error instanceof PosternError) {
      sendProblem(request, response, error);
    } else if (isRefusedByHeaders(error) && !response.headersSent) {
      response
        .status(error.status)
        .set({ ...error.headers, 'Cache-Control': never })
        .end();
    } else {
      log.error({ requestId, err: error }, 'a file of the app could not be read');
      sendProblem(request, response, new PosternError('internal_error', { cause: error }));
    }
  }

  // An application of its own for the sake of `sendFile` and `send`: ranges, conditions and HEAD as HTTP asks.
  const app = express();
  app.disable('x-powered-by');
  app.use((request, response) => {
    response.setTimeout(mostUnreadMs, () => response.destroy());
    serve(request, response).catch((error: unknown) => fail(request, response, error));
  });
  return app as (request: IncomingMessage, response: ServerResponse) => void;
}

function isHashed(path: string): boolean {
  return hashedNames.some((name) => name.test(path));
}

/** Whether the app itself, not a file, is what a person is on the way to. */
function isPageOfApp({ headers, path }: Request): boolean {
  return isNavigation(headers) && !fileAddress.test(path);
}

/** A range that is not there, or a condition that does not hold (RFC 9110 sections 13.1, 14.2). */
function isRefusedByHeaders(error: unknown): error is { status: number; headers?: Record<string, string> } {
  return error instanceof Error && 'status' in error && (error.status === 412 || error.status === 416);
}

/** Gives the headers of one response. Where the policy names a nonce, it is the one given. */
function createAppHeaders({
  settings,
  securityHeaders,
  endSessionOrigins,
}: AppFilesOptions): (nonce: string) => HeaderList {
  const { contentSecurityPolicy, noncePlaceholder } = settings;
  let madeFor: string | undefined;
  let headers: HeaderList = {};
  return (nonce) => {
    const origins = endSessionOrigins();
    const key = origins.join(' ');
    if (key !== madeFor) {
      headers = securityHeaders.app(contentSecurityPolicy, origins, noncePlaceholder);
      madeFor = key;
    }
    if (noncePlaceholder === undefined) return headers;
    const policy = headers['content-security-policy'] ?? '';
    return { ...headers, 'content-security-policy': policy.replaceAll(noncePlaceholder, nonce) };
  };
}
