// How a failure reaches the caller: problem+json for scripts (RFC 9457), a small page for people. Both say the code, neither says the cause.
import { STATUS_CODES } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { statusOf, titleOf } from '../errors.ts';
import type { ErrorCode, PosternError } from '../errors.ts';
import { renderPage } from './page.ts';
import { contextFor } from './request-context.ts';
import type { HeaderList, SecurityHeaders } from './security-headers.ts';

/** Answers with the error. `loginUrl` is named where a login helps: on 401s. */
export type SendError = (request: IncomingMessage, response: ServerResponse, error: PosternError) => void;

/** The ways to answer an error; once the head of a response is out, its connection is cut instead. */
export interface ErrorResponse {
  sendProblem: SendError;
  sendErrorPage: SendError;
  /** A whole response that closes its connection, as bytes, for what Node's parser refused: there is no request then. */
  rawProblem: (code: ErrorCode, requestId: string) => string;
}

/** `loginUrl` and `homeUrl` are paths of our own origin. */
export function createErrorResponse(options: {
  securityHeaders: SecurityHeaders;
  loginUrl: string;
  homeUrl: string;
}): ErrorResponse {
  const problemHeaders: HeaderList = {
    ...options.securityHeaders.own,
    'content-type': 'application/problem+json; charset=utf-8',
  };

  function loginUrlWith(login: PosternError['login']): string {
    const query = new URLSearchParams(login).toString();
    return query === '' ? options.loginUrl : `${options.loginUrl}?${query}`;
  }

  function problemOf(code: ErrorCode, requestId: string, login: PosternError['login'] = {}): string {
    const status = statusOf(code);
    return JSON.stringify({
      type: `urn:postern:error:${code}`,
      title: titleOf(code),
      status,
      code,
      requestId,
      ...(status === 401 ? { loginUrl: loginUrlWith(login) } : {}),
    });
  }

  return {
    sendProblem(request, response, error) {
      const body = problemOf(error.code, contextFor(request).requestId, error.login);
      send({ request, response, error, headers: problemHeaders, body });
    },
    rawProblem(code, requestId) {
      const status = statusOf(code);
      const body = problemOf(code, requestId);
      const headers: HeaderList = {
        ...problemHeaders,
        'cache-control': 'no-store',
        connection: 'close',
        'content-length': String(Buffer.byteLength(body)),
      };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
      return [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, '', body].join('\r\n');
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
  if (!request.complete) response.once('finish', () => expectEndOf(request));
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

const restOfBodyMs = 5_000;

// The rest of the body is read and dropped, so that the connection is good for the next request; but who sends it byte by byte would hold it for ever.
function expectEndOf(request: IncomingMessage): void {
  setTimeout(() => {
    if (!request.complete) request.socket.destroy();
  }, restOfBodyMs).unref();
}
