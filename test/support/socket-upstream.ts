// An API with WebSockets to stand behind Postern, of bare frames (RFC 6455): it records the handshakes, sends every text back, and does what a test tells it.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Certificate } from './certificate.ts';
import { acceptFor, frame, readFrame } from './websocket-frame.ts';
import { until } from './until.ts';

/** One connection that was upgraded. */
export class PeerSocket {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  /** Texts that have arrived. */
  readonly texts: string[] = [];
  /** The code of the Close frame that has arrived; 1005 for none in it. */
  closeCode: number | undefined;
  isGone = false;
  #bytes: Buffer;

  constructor(request: IncomingMessage, socket: Socket, head: Buffer) {
    this.request = request;
    this.socket = socket;
    this.#bytes = head;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => (this.isGone = true));
    if (head.length > 0) this.#take(Buffer.alloc(0));
  }

  send(text: string): void {
    this.socket.write(frame(0x81, Buffer.from(text)));
  }

  ping(): void {
    this.socket.write(frame(0x89, Buffer.alloc(0)));
  }

  close(code: number): void {
    this.socket.end(frame(0x88, Buffer.from([code >> 8, code & 0xff])));
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (let taken = readFrame(this.#bytes); taken !== undefined; taken = readFrame(this.#bytes)) {
      this.#bytes = this.#bytes.subarray(taken.size);
      if (taken.opcode === 0x1) {
        const text = taken.payload.toString();
        this.texts.push(text);
        this.send(`echo ${text}`);
      } else if (taken.opcode === 0x8) {
        this.closeCode = taken.payload.length < 2 ? 1005 : taken.payload.readUInt16BE();
        this.socket.end(frame(0x88, taken.payload));
      }
    }
  }
}

/** How an upgrade is answered; undefined: as RFC 6455 says. */
export type AnswerUpgrade = (request: IncomingMessage, socket: Socket) => void;

export class SocketUpstream {
  /** Handshakes as they arrived. */
  readonly handshakes: IncomingMessage[] = [];
  readonly sockets: PeerSocket[] = [];
  answer: AnswerUpgrade | undefined;
  /** More lines of the 101. */
  lines: string[] = [];
  readonly #server: Server;
  readonly #connections = new Set<Socket>();

  readonly #scheme: 'http' | 'https';

  private constructor(certificate: Certificate | undefined) {
    const answer = (_request: IncomingMessage, response: ServerResponse) => response.end('{"from":"upstream"}');
    this.#scheme = certificate === undefined ? 'http' : 'https';
    this.#server = certificate === undefined ? createServer(answer) : createTlsServer(certificate, answer);
    this.#server.on('connection', (socket) => {
      this.#connections.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#connections.delete(socket));
    });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      this.take(request, socket, head);
    });
  }

  /** A handshake that arrived here, or at another server that hands it over. */
  take(request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.handshakes.push(request);
    socket.on('end', () => socket.end());
    socket.resume();
    if (this.answer === undefined) this.#accept(request, socket, head);
    else this.answer(request, socket);
  }

  /** With a certificate it speaks TLS. */
  static async start(certificate?: Certificate): Promise<SocketUpstream> {
    const upstream = new SocketUpstream(certificate);
    await once(upstream.#server.listen(0, '127.0.0.1'), 'listening');
    return upstream;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections of any kind that are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** The last connection that was upgraded. */
  get last(): PeerSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error('Nothing has been upgraded');
    return socket;
  }

  async reset(): Promise<void> {
    this.answer = undefined;
    this.lines = [];
    for (const socket of this.#connections) socket.destroy();
    await until(() => this.#connections.size === 0);
    this.handshakes.length = 0;
    this.sockets.length = 0;
  }

  async stop(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    this.#server.close();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  #accept(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const protocol = request.headers['sec-websocket-protocol']?.split(',')[0];
    const lines = [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${acceptFor(request.headers['sec-websocket-key'])}`,
      ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
      ...this.lines,
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    this.sockets.push(new PeerSocket(request, socket, head));
  }
}
