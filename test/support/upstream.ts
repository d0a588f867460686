// APIs to stand behind Postern: one that records what it was asked and answers as told, one that speaks no HTTP but what the test writes.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import net from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:https';
import type { Certificate } from './certificate.ts';

/** One request as it arrived. */
export interface ReceivedRequest {
  method: string;
  /** The request target, byte for byte. */
  target: string;
  headers: IncomingMessage['headers'];
  /** Name and value pairs as they came, duplicates included. */
  rawHeaders: [name: string, value: string][];
  body: Buffer;
  /** Ports tell connections apart. */
  remotePort: number;
}

export type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

/** A recording API. Answers 200 with a small JSON until it is told otherwise. */
export class RecordingUpstream {
  readonly requests: ReceivedRequest[] = [];
  /** Requests whose client went away before they were answered. */
  aborted = 0;
  answer: Answer = answerJson;
  /** When set, answers at the head of the request, before its body is there. */
  answerEarly = false;
  readonly #server: Server;

  readonly #scheme: 'http' | 'https';

  private constructor(certificate: Certificate | undefined) {
    // Lenient on purpose: what gets this far would hit a careless server.
    const settings = { insecureHTTPParser: true, keepAliveTimeout: 60_000 };
    const receive = (request: IncomingMessage, response: ServerResponse): void => void this.#receive(request, response);
    this.#scheme = certificate === undefined ? 'http' : 'https';
    this.#server =
      certificate === undefined
        ? createServer(settings, receive)
        : createTlsServer({ ...settings, ...certificate }, receive);
  }

  /** With a certificate it speaks TLS. */
  static async start(certificate?: Certificate): Promise<RecordingUpstream> {
    const upstream = new RecordingUpstream(certificate);
    await once(upstream.#server.listen(0, '127.0.0.1'), 'listening');
    return upstream;
  }

  get url(): string {
    return `${this.#scheme}://${this.authority}`;
  }

  get authority(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get last(): ReceivedRequest {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error('The upstream has not been asked');
    return request;
  }

  /** Answers as at first. */
  reset(): void {
    this.answer = answerJson;
    this.answerEarly = false;
  }

  /** Gives WebSocket handshakes to `take`; without it they are requests like others. */
  onUpgrade(take: (request: IncomingMessage, socket: Socket, head: Buffer) => void): void {
    this.#server.on('upgrade', take);
  }

  openConnections(): Promise<number> {
    return new Promise((resolve) => this.#server.getConnections((_, count) => resolve(count)));
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('close', () => {
      if (!response.writableFinished) this.aborted += 1;
    });
    const received: ReceivedRequest = {
      method: request.method ?? '',
      target: request.url ?? '',
      headers: request.headers,
      rawHeaders: pairs(request.rawHeaders),
      body: Buffer.alloc(0),
      remotePort: request.socket.remotePort ?? 0,
    };
    this.requests.push(received);
    if (this.answerEarly) {
      this.answer(request, response, received.body);
      return;
    }
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    received.body = Buffer.concat(chunks);
    this.answer(request, response, received.body);
  }
}

/** An `answer`: the Authorization header of the request. */
export function answerWithToken({ headers }: IncomingMessage, response: ServerResponse): void {
  response.end(headers.authorization);
}

function answerJson(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"from":"upstream"}');
}

function pairs(rawHeaders: string[]): [string, string][] {
  return rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? ''] as [string, string]] : []));
}

/** A server of bare bytes: what it writes is no HTTP unless the test makes it so. */
export class HostileUpstream {
  /** Everything that arrived, over all connections. */
  received = '';
  connections = 0;
  readonly #server: net.Server;
  readonly #sockets = new Set<Socket>();

  private constructor(react: (socket: Socket) => void) {
    this.#server = net.createServer((socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
      let reacted = false;
      socket.on('data', (bytes) => {
        this.received += bytes.toString('latin1');
        if (reacted) return;
        reacted = true;
        react(socket);
      });
    });
  }

  /** `react` is called once a connection, when its first bytes are there. */
  static async start(react: (socket: Socket) => void): Promise<HostileUpstream> {
    const upstream = new HostileUpstream(react);
    await once(upstream.#server.listen(0, '127.0.0.1'), 'listening');
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}
