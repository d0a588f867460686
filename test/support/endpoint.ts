// What a test can make an endpoint of a provider do, and what it saw: both test providers watch their back channel with this.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

export type EndpointName = 'discovery' | 'jwks' | 'token' | 'revocation' | 'userinfo' | 'par';

/**
 * - `unavailable` 503 with `Retry-After: 7`; `too-many-requests` 429 with the same
 * - `hang` never answers; `reset` cuts the connection before anything happened
 * - `lose-answer` does the work (a refresh token is rotated), then cuts the connection
 * - `html` 200 with a page; `oversized` 200 with 5 MB of JSON; `truncated` half an answer, then the end of the connection
 * - `redirect` 302 to `redirectTo`
 * - `{ error, status, headers }` an OAuth error answer
 */
export type Fault =
  | 'unavailable'
  | 'too-many-requests'
  | 'hang'
  | 'reset'
  | 'lose-answer'
  | 'html'
  | 'oversized'
  | 'truncated'
  | 'redirect'
  | { error: string; status?: number; headers?: Record<string, string> };

/** One request as the provider saw it. */
export interface SeenRequest {
  endpoint: EndpointName;
  at: number;
  /** When the answer was out or the connection gone; undefined while the caller waits. */
  endedAt: number | undefined;
  grantType: string | undefined;
  /** How the client proved itself; for userinfo, `bearer`. */
  clientAuth: 'basic' | 'post' | 'none' | 'bearer';
  authorization: string | undefined;
  /** The form in the body. */
  parameters: URLSearchParams;
  /** What followed the `?` in the URL. */
  query: string;
  /** Ports tell connections apart. */
  remotePort: number;
}

/** How one endpoint behaves from now on. */
export class EndpointBehaviour {
  /** Waits before every answer. */
  delayMs = 0;
  redirectTo = 'http://127.0.0.1:9/';
  /** What every answer waits for. */
  held: Promise<unknown> = Promise.resolve();
  #fault: Fault | undefined;
  #times = 0;
  #release = (): void => undefined;

  /** Holds every answer back until `recover()`, or until what this gives is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.held = promise;
    this.#release = () => resolve(undefined);
    return this.#release;
  }

  /** Fails the next `times` requests, or all until `recover()`. */
  fail(fault: Fault, times = Infinity): void {
    this.#fault = fault;
    this.#times = times;
  }

  recover(): void {
    this.#times = 0;
    this.delayMs = 0;
    this.#release();
  }

  takeFault(): Fault | undefined {
    if (this.#times <= 0) return undefined;
    this.#times -= 1;
    return this.#fault;
  }
}

/** The watched endpoints of one provider. */
export class WatchedEndpoints {
  readonly requests: SeenRequest[] = [];
  readonly behaviours: Record<EndpointName, EndpointBehaviour> = {
    discovery: new EndpointBehaviour(),
    jwks: new EndpointBehaviour(),
    token: new EndpointBehaviour(),
    revocation: new EndpointBehaviour(),
    userinfo: new EndpointBehaviour(),
    par: new EndpointBehaviour(),
  };
  readonly #closed = new AbortController();
  readonly #gone = once(this.#closed.signal, 'abort');

  /** Requests of one endpoint, newest last; for `token` of one grant type, where given. */
  seen(endpoint: EndpointName, grantType?: string): SeenRequest[] {
    return this.requests.filter(
      (request) => request.endpoint === endpoint && (grantType === undefined || request.grantType === grantType),
    );
  }

  /** Records a request, then misbehaves as told. True when the request has been dealt with and must go no further. */
  async meet(endpoint: EndpointName, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const parameters = new URLSearchParams(await peekBody(request));
    const authorization = request.headers.authorization;
    const seen: SeenRequest = {
      endpoint,
      at: Date.now(),
      endedAt: undefined,
      grantType: parameters.get('grant_type') ?? undefined,
      clientAuth: clientAuthOf(authorization, parameters),
      authorization,
      parameters,
      query: request.url?.split('?')[1] ?? '',
      remotePort: request.socket.remotePort ?? 0,
    };
    this.requests.push(seen);
    response.once('close', () => (seen.endedAt = Date.now()));
    const behaviour = this.behaviours[endpoint];
    const fault = behaviour.takeFault();
    await Promise.race([behaviour.held, this.#gone]);
    if (behaviour.delayMs > 0) {
      await wait(behaviour.delayMs, undefined, { signal: this.#closed.signal }).catch(() => undefined);
    }
    return fault !== undefined && misbehave(fault, request, response, behaviour.redirectTo);
  }

  /** Ends every delay, and lets go of what is held. */
  close(): void {
    this.#closed.abort();
  }
}

function misbehave(fault: Fault, request: IncomingMessage, response: ServerResponse, redirectTo: string): boolean {
  if (typeof fault === 'object') {
    response.writeHead(fault.status ?? 400, { 'content-type': 'application/json', ...fault.headers });
    response.end(JSON.stringify({ error: fault.error }));
    return true;
  }
  switch (fault) {
    case 'unavailable':
      response.writeHead(503, { 'retry-after': '7' }).end();
      return true;
    case 'too-many-requests':
      response.writeHead(429, { 'retry-after': '7' }).end();
      return true;
    case 'hang':
      return true;
    case 'reset':
      request.socket.destroy();
      return true;
    case 'lose-answer':
      response.end = () => {
        request.socket.destroy();
        return response;
      };
      return false;
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Maintenance</title>');
      return true;
    case 'oversized':
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ padding: 'x'.repeat(5 * 1024 * 1024) }));
      return true;
    case 'truncated':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"access_token":"', () => request.socket.destroy());
      return true;
    case 'redirect':
      response.writeHead(302, { location: redirectTo }).end();
      return true;
  }
}

function clientAuthOf(authorization: string | undefined, parameters: URLSearchParams): SeenRequest['clientAuth'] {
  if (authorization?.startsWith('Basic ')) return 'basic';
  if (authorization !== undefined) return 'bearer';
  return parameters.has('client_secret') ? 'post' : 'none';
}

// The body is put back, so that whoever answers the request reads it as if nobody had looked.
async function peekBody(request: IncomingMessage): Promise<string> {
  const length = Number(request.headers['content-length'] ?? 0);
  const chunks: Buffer[] = [];
  let received = 0;
  while (received < length) {
    const chunk = request.read() as Buffer | null;
    if (chunk === null) {
      await once(request, 'readable');
      continue;
    }
    chunks.push(chunk);
    received += chunk.length;
  }
  const body = Buffer.concat(chunks);
  if (body.length > 0) request.unshift(body);
  return body.toString();
}
