// Sends one request to one upstream and streams the answer back, within time limits. What may be sent a second time is: a request that an idle connection
// lost on its way, and one that was refused with 401 when there is another token for it.
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { PosternError } from '../errors.ts';
import type { OpenedSession } from '../tokens/opened-session.ts';
import { passBody } from './answer-body.ts';
import { onBodyOver } from './body-limit.ts';
import { isEventStream } from './event-streams.ts';
import type { TieToSession } from './event-streams.ts';
import { holdBody } from './held-body.ts';
import { BodyCopy, hasBody, requestAgain } from './request-again.ts';
import type { BuildResponseHeaders } from './response-headers.ts';
import { limitTime } from './time-limits.ts';
import type { UpstreamTimeLimits } from './time-limits.ts';
import type { AuthorizedCall, Unauthorized } from './unauthorized.ts';
import type { Exchange, UpstreamConnection } from './upstream-connections.ts';
import { asPosternError, isSafe, watchForLoss } from './upstream-failure.ts';
import type { UpstreamHeaders } from './upstream-headers.ts';

/** One way to one upstream. */
export interface ForwardOptions {
  connection: UpstreamConnection;
  limits: UpstreamTimeLimits;
  /** The largest request body, in bytes, for bodies that do not say how long they are: `payload_too_large` once there is more. */
  bodyLimit?: number | undefined;
  responseHeaders: BuildResponseHeaders;
  /** What is done about the 401 of a call that carried a token; undefined where none does. */
  unauthorized: Unauthorized | undefined;
  /** Ties event streams to their sessions; undefined where there are none. */
  tieToSession: TieToSession | undefined;
  /** A request is sent again because its connection was closed under it. */
  onRetry: () => void;
  /** Answers a request whose upstream failed before its answer began: `upstream_unreachable`, `upstream_timeout` or `upstream_invalid`. Called at most once a request. */
  onFailure: (request: IncomingMessage, response: ServerResponse, error: PosternError) => void;
}

/** What is sent in place of the request's own target and headers. */
export interface Outgoing {
  /** Path and query. */
  target: string;
  headers: UpstreamHeaders;
  /** The session that the call was let in with. */
  session: OpenedSession | undefined;
  /** On whose behalf; undefined for a call without a token, whose 401 goes through. */
  authorized: AuthorizedCall | undefined;
}

/** An Outgoing that may have been sent before. */
interface Attempt extends Outgoing {
  isRetry?: boolean;
  isReplay?: boolean;
}

/** Takes the request over: `request.url` and `request.headers` are replaced, and the response is answered in every case. */
export type Forward = (request: IncomingMessage, response: ServerResponse, outgoing: Outgoing) => void;

/** Prepares the way to one upstream. */
export function createForward(options: ForwardOptions): Forward {
  return function forward(request, response, outgoing) {
    request.url = outgoing.target;
    request.headers = outgoing.headers;
    options.connection.send(request, response, new Forwarding(options, outgoing, { request, response }));
  };
}

interface Parties {
  request: IncomingMessage;
  response: ServerResponse;
}

class Forwarding implements Exchange {
  readonly #options: ForwardOptions;
  readonly #attempt: Attempt;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #body: BodyCopy | undefined;
  /** Whether an error means that the request was lost with its connection. */
  #isLoss: (error: NodeJS.ErrnoException) => boolean = () => false;
  /** Another one has taken the request over: what is still heard of this one is the past. */
  #isOver = false;

  constructor(options: ForwardOptions, attempt: Attempt, { request, response }: Parties) {
    this.#options = options;
    this.#attempt = attempt;
    this.#request = request;
    this.#response = response;
  }

  connected(upstreamRequest: ClientRequest): void {
    limitTime(upstreamRequest, this.#options.limits);
    // A 101 that nobody asked for would hand the client a connection in another protocol; unheard, it would end the request without a word.
    upstreamRequest.once('upgrade', (_answer, socket) => {
      socket.destroy();
      this.#fail(new PosternError('upstream_invalid', { cause: new Error('Unexpected upgrade') }));
    });
    this.#isLoss = watchForLoss(upstreamRequest);
    const { authorized, isReplay, headers } = this.#attempt;
    if (authorized !== undefined && isReplay !== true && hasBody(headers)) this.#body = new BodyCopy(this.#request);
    const { bodyLimit } = this.#options;
    if (bodyLimit !== undefined && headers['transfer-encoding'] !== undefined) {
      onBodyOver(this.#request, bodyLimit, () => {
        this.#fail(new PosternError('payload_too_large'));
        upstreamRequest.destroy();
      });
    }
  }

  answered(upstreamResponse: IncomingMessage): void {
    const response = this.#response;
    // Too late: the request has been answered, or its client is gone.
    if (response.headersSent || response.destroyed) {
      upstreamResponse.destroy();
      return;
    }
    upstreamResponse.socket.setTimeout(this.#options.limits.idleMs);
    const { unauthorized } = this.#options;
    const { authorized, isReplay } = this.#attempt;
    const status = upstreamResponse.statusCode ?? 0;
    if (status === 401 && authorized !== undefined && unauthorized !== undefined) {
      this.#reconsider(upstreamResponse, authorized, unauthorized).catch((cause: unknown) => {
        this.#fail(new PosternError('internal_error', { cause }));
      });
      return;
    }
    if (isReplay === true) unauthorized?.accepted();
    this.#body?.drop();
    const noRoom = this.#tieToSession(upstreamResponse);
    if (noRoom !== undefined) {
      upstreamResponse.destroy();
      this.#fail(noRoom);
      return;
    }
    // The library destroys either side when the other goes before its time: a cut answer stays cut, and a client that leaves cancels the call.
    if (this.#writeHead(upstreamResponse)) passBody(upstreamResponse, response);
  }

  failed(error: NodeJS.ErrnoException): void {
    if (this.#isOver) return;
    if (this.#isLoss(error) && this.#mayRetry()) {
      this.#isOver = true;
      this.#options.onRetry();
      // Not at once: an upstream that has closed one idle connection has closed others too, and they are still being heard of.
      setImmediate(() => this.#sendAgain({ isRetry: true }));
      return;
    }
    this.#fail(asPosternError(error));
  }

  #mayRetry(): boolean {
    const { isRetry, headers } = this.#attempt;
    return isRetry !== true && isSafe(this.#request.method) && !hasBody(headers);
  }

  #tieToSession({ rawHeaders }: IncomingMessage): PosternError | undefined {
    const { session } = this.#attempt;
    const { tieToSession } = this.#options;
    if (session === undefined || tieToSession === undefined || !isEventStream(rawHeaders)) return undefined;
    return tieToSession(this.#request, this.#response, session.h);
  }

  async #reconsider(
    upstreamResponse: IncomingMessage,
    authorized: AuthorizedCall,
    unauthorized: Unauthorized,
  ): Promise<void> {
    const held = await holdBody(upstreamResponse);
    const { isReplay = false } = this.#attempt;
    const reaction = await unauthorized.react(authorized, {
      challenge: upstreamResponse.headers['www-authenticate'],
      canReplay: held.isWhole && this.#isRepeatable(),
      isReplay,
    });
    if (this.#response.destroyed || this.#response.headersSent) return;
    switch (reaction.kind) {
      case 'pass':
        if (this.#writeHead(upstreamResponse)) held.sendTo(this.#response);
        return;
      case 'replay':
        this.#isOver = true;
        this.#sendAgain({ headers: reaction.headers, isReplay: true, isRetry: false });
        return;
      case 'refuse':
        unauthorized.refuse(this.#request, this.#response, reaction.error);
        held.drop();
        this.#request.resume();
    }
  }

  #isRepeatable(): boolean {
    return !hasBody(this.#attempt.headers) || this.#body?.whole() !== undefined;
  }

  #sendAgain(changed: Partial<Attempt>): void {
    const request = this.#request;
    const response = this.#response;
    if (response.destroyed) return;
    // The library listens for the response's end anew each time.
    response.setMaxListeners(0);
    const attempt = { ...this.#attempt, ...changed };
    const again = requestAgain(request, attempt.headers, this.#body?.whole());
    this.#options.connection.send(again, response, new Forwarding(this.#options, attempt, { request, response }));
  }

  #writeHead(upstreamResponse: IncomingMessage): boolean {
    const status = upstreamResponse.statusCode ?? 0;
    try {
      // What Node's parser lets through as final though HTTP knows no such answer: a 099, a 101 that names no protocol.
      if (status < 200) throw new Error(`Unexpected status ${status}`);
      this.#response.writeHead(status, this.#options.responseHeaders(upstreamResponse.rawHeaders));
      return true;
    } catch (cause) {
      upstreamResponse.destroy();
      this.#fail(new PosternError('upstream_invalid', { cause }));
      return false;
    }
  }

  #fail(error: PosternError): void {
    const request = this.#request;
    const response = this.#response;
    // Half an answer must not look like a whole one.
    if (response.headersSent && !response.writableEnded) response.destroy();
    if (response.headersSent || response.destroyed) return;
    this.#options.onFailure(request, response, error);
    // What is left of the body goes nowhere; unread, it would block the connection for good.
    request.resume();
  }
}
