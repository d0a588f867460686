// Calls to a gate, as the app's own script makes them or as a test likes them.
import { request as httpRequest } from 'node:http';
import type { Agent, IncomingMessage, RequestOptions } from 'node:http';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Gate } from './gate.ts';

export interface CallOptions {
  method?: string;
  cookie?: string;
  headers?: Record<string, string>;
  body?: Buffer;
  chunked?: boolean;
  stream?: Readable;
  signal?: AbortSignal;
}

export interface CallAnswer {
  status: number;
  headers: IncomingMessage['headers'];
  bytes: Buffer;
  body: string;
  problem: unknown;
}

export interface Caller {
  /** A call as the app's own script makes it. */
  call: (path: string, options?: CallOptions) => Promise<CallAnswer>;
  /** A call that carries only what the test says. */
  rawCall: (path: string, options?: CallOptions) => Promise<CallAnswer>;
  /** The same, as soon as the head of the answer is there. */
  open: (path: string, options?: CallOptions) => Promise<IncomingMessage>;
}

/** `gateNow` is asked at each call, because a gate is started after its caller is made. Each call has a connection of its own unless there is an agent. */
export function createCaller(gateNow: () => Pick<Gate, 'address' | 'host'>, agent: Agent | false = false): Caller {
  function call(path: string, options: CallOptions = {}): Promise<CallAnswer> {
    const { cookie: session, headers = {}, ...rest } = options;
    const marks = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };
    return rawCall(path, {
      ...rest,
      headers: { ...marks, ...(session === undefined ? {} : { cookie: session }), ...headers },
    });
  }

  async function rawCall(path: string, options: CallOptions = {}): Promise<CallAnswer> {
    const response = await open(path, options);
    const bytes = await buffer(response);
    const body = bytes.toString();
    const isProblem = response.headers['content-type']?.startsWith('application/problem+json') === true && body !== '';
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      bytes,
      body,
      problem: isProblem ? JSON.parse(body) : undefined,
    };
  }

  function open(
    path: string,
    { method = 'GET', headers = {}, body, chunked = false, stream, signal }: CallOptions = {},
  ): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const framing =
      stream !== undefined || chunked
        ? { 'transfer-encoding': 'chunked' }
        : { 'content-length': String(body?.length ?? 0) };
    const options: RequestOptions = {
      method,
      // Apart from the address, or it would be normalised.
      path,
      headers: { host: gateNow().host, ...((body ?? stream) ? framing : {}), ...headers },
      agent,
      ...(signal && { signal }),
    };
    const request = httpRequest(gateNow().address, options, resolve);
    request.on('error', reject);
    if (stream === undefined) request.end(body);
    else stream.pipe(request);
    return promise;
  }

  return { call, rawCall, open };
}
