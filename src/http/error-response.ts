// How a failure reaches the caller: problem+json for scripts (RFC 9457), a small page for people. Both say the code, neither says the cause.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { PosternError } from '../errors.ts';
import { titleOf } from '../errors.ts';
import { renderPage } from './page.ts';
import { contextFor } from './request-context.ts';
import type { HeaderList, SecurityHeaders } from './security-headers.ts';

/** Answers with the error. `loginUrl` is named where a login helps: on 401s. */
export type SendError = (request: IncomingMessage, response: ServerResponse, error: PosternError) => void;

/** The two ways to answer an error on a plain Node response; once the head is out, the connection is cut instead. */
export function createErrorResponse(options: { securityHeaders: SecurityHeaders; loginUrl: string; homeUrl: string }): {
  sendProblem: SendError;
  sendErrorPage: SendError;
} {
  return {
    sendProblem(request, response, error) {
      const context = contextFor(request);
      const body = {
        type: `urn:postern:error:${error.code}`,
        title: titleOf(error.code),
        status: error.status,
        code: error.code,
        requestId: context.requestId,
        ...(error.status === 401 ? { loginUrl: options.loginUrl } : {}),
      };
      const headers = { ...options.securityHeaders.own, 'content-type': 'application/problem+json; charset=utf-8' };
      send({ request, response, error, headers, body: JSON.stringify(body) });
    },
    sendErrorPage(request, response, error) {
      const context = contextFor(request);
      const body = renderPage({
        title: titleOf(error.code),
        paragraphs: [advice(error)],
        smallPrint: `Code: ${error.code}. Request: ${context.requestId}.`,
        links: [
          { href: options.homeUrl, text: 'To the application' },
          { href: options.loginUrl, text: 'Log in again' },
        ],
      });
      const headers = { ...options.securityHeaders.page({}), 'content-type': 'text/html; charset=utf-8' };
      send({ request, response, error, headers, body });
    },
  };
}

function advice(error: PosternError): string {
  switch (error.status) {
    case 503:
      return 'Nothing is lost: your session is kept. Please try again in a moment.';
    case 429:
      return 'Please wait half a minute, then try again.';
    default:
      return 'You can go back to the application, or start again.';
  }
}

interface Answer {
  request: IncomingMessage;
  response: ServerResponse;
  error: PosternError;
  headers: HeaderList;
  body: string;
}

function send({ request, response, error, headers, body }: Answer): void {
  contextFor(request).errorCode = error.code;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(error.status, {
    ...headers,
    ...error.headers,
    'cache-control': 'no-store',
    vary: 'Cookie',
    ...(error.retryAfterSeconds === undefined ? {} : { 'retry-after': String(error.retryAfterSeconds) }),
    'content-length': String(Buffer.byteLength(body)),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
