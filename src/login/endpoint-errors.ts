// The last handler of every endpoint: the one place where what was thrown becomes an answer, a page for people and problem+json for scripts.
import type { ErrorRequestHandler } from 'express';
import { PosternError, storeAway } from '../errors.ts';
import type { SendError } from '../http/error-response.ts';
import { isNavigation } from '../http/navigation.ts';
import { contextFor } from '../http/request-context.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { Logger } from '../telemetry/log.ts';

/** Logs what is not the caller's fault (5xx). StoreUnavailable becomes 503 `session_store_unavailable`, what is no PosternError 500 `internal_error`. */
export function createEndpointErrors(options: {
  sendProblem: SendError;
  sendErrorPage: SendError;
  log: Logger;
}): ErrorRequestHandler {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- Express knows an error handler by its four parameters.
  return (thrown: unknown, request, response, _next) => {
    const error = toPosternError(thrown);
    if (error.status >= 500) {
      options.log[levelOf(error)]({ err: error, requestId: contextFor(request).requestId }, 'an endpoint failed');
    }
    const send = isNavigation(request.headers) ? options.sendErrorPage : options.sendProblem;
    send(request, response, error);
  };
}

// That the store is away was said when it went; once more for every call would fill the log of just the night that somebody reads it.
function levelOf({ code }: PosternError): 'error' | 'warn' | 'debug' {
  switch (code) {
    case 'internal_error':
      return 'error';
    case 'session_store_unavailable':
      return 'debug';
    default:
      return 'warn';
  }
}

function toPosternError(thrown: unknown): PosternError {
  if (thrown instanceof PosternError) return thrown;
  if (thrown instanceof StoreUnavailable) {
    return storeAway(thrown);
  }
  return new PosternError('internal_error', { cause: thrown });
}
