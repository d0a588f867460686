// A WebSocket client of bare frames (RFC 6455), as a page of ours is one, or as a test likes it.
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { connect, exchange, parseAnswers } from './raw-client.ts';
import type { RawAnswer } from './raw-client.ts';
import { frame, readFrame } from './websocket-frame.ts';
import { until } from './until.ts';

/** A place to connect to. */
export interface SocketTarget {
  publicUrl: string;
  address: string;
}

/** Fields in place of a handshake's own of the same name; undefined takes one out. */
export type HandshakeFields = Record<string, string | undefined>;

export interface Ending {
  /** 1006 when the connection ended without a Close frame. */
  code: number;
  reason: string;
  /** `performance.now()` at the Close frame, or at the end. */
  at: number;
}

/** One connection that has asked for a WebSocket. */
export class Client {
  readonly socket: Socket;
  /** Texts that have arrived. */
  readonly texts: string[] = [];
  /** The answer to the handshake; status 0 until it is there. */
  answer: RawAnswer = { status: 0, headers: [], body: '' };
  /** All that came behind the answer's head. */
  bytes = Buffer.alloc(0);
  ending: Ending | undefined;
  isGone = false;
  #framesTaken = 0;

  constructor(on: SocketTarget, handshake: string | Buffer) {
    this.socket = on.address.startsWith('https:') ? connectSecurely(on.address) : connect(on.address);
    this.socket.on('data', (chunk) => this.#take(chunk));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.isGone = true;
      this.ending ??= { code: 1006, reason: '', at: performance.now() };
    });
    this.socket.write(handshake);
  }

  send(text: string): void {
    this.socket.write(maskedText(text));
  }

  close(code = 1000): void {
    this.socket.write(frame(0x88, Buffer.from([code >> 8, code & 0xff]), mask));
  }

  /** Waits for so many texts. */
  async heard(count: number): Promise<string[]> {
    await until(() => this.texts.length >= count);
    return this.texts;
  }

  /** Waits until the connection is closed. */
  async ended(atMostMs?: number): Promise<Ending> {
    await until(() => this.isGone, atMostMs);
    return this.ending!;
  }

  #take(chunk: Buffer): void {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    if (this.answer.status === 0) {
      const end = this.bytes.indexOf('\r\n\r\n');
      if (end === -1) return;
      this.answer = parseAnswers(this.bytes.toString('latin1'))[0] ?? this.answer;
      this.bytes = this.bytes.subarray(end + 4);
    }
    if (this.answer.status === 101) this.#takeFrames();
  }

  #takeFrames(): void {
    for (;;) {
      const taken = readFrame(this.bytes.subarray(this.#framesTaken));
      if (taken === undefined) return;
      this.#framesTaken += taken.size;
      const { opcode, payload } = taken;
      if (opcode === 0x1) this.texts.push(payload.toString());
      if (opcode === 0x9) this.socket.write(frame(0x8a, payload, mask));
      if (opcode !== 0x8) continue;
      this.ending ??= { code: payload.readUInt16BE(), reason: payload.subarray(2).toString(), at: performance.now() };
      this.socket.end(frame(0x88, payload, mask));
    }
  }
}

// Whose certificate that is, is not what these tests are about.
function connectSecurely(address: string): Socket {
  const { hostname, port } = new URL(address);
  return tls.connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
}

const mask = Buffer.from([1, 2, 3, 4]);

/** A text as a client sends it. */
export const maskedText = (text: string): Buffer => frame(0x81, Buffer.from(text), mask);

/** Opens a WebSocket; throws when it does not come about. */
export async function openSocket(on: SocketTarget, path: string, fields: HandshakeFields = {}): Promise<Client> {
  const client = new Client(on, handshakeBytes(on, path, fields));
  await until(() => client.answer.status > 0 || client.isGone);
  const { status } = client.answer;
  if (status !== 101) throw new Error(`The WebSocket did not open: ${status} ${client.bytes.toString('latin1')}`);
  return client;
}

/** The bytes of a handshake, as a browser makes it on a page of ours. */
export function handshakeBytes({ publicUrl }: SocketTarget, path: string, fields: HandshakeFields = {}): string {
  const all: HandshakeFields = {
    Host: new URL(publicUrl).host,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    Origin: publicUrl,
    ...fields,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}

/** Makes a handshake that is to be refused: reads until the connection is closed, and gives the one answer. */
export async function refusedHandshake(
  on: SocketTarget,
  path: string,
  fields: HandshakeFields = {},
): Promise<RawAnswer & { code: unknown }> {
  const { answers } = await exchange(on.address, handshakeBytes(on, path, fields));
  const [answer] = answers;
  if (answer === undefined || answers.length !== 1) throw new Error(`There were ${answers.length} answers`);
  const isProblem = answer.headers.some(([name, value]) => name === 'content-type' && value.includes('problem+json'));
  return { ...answer, code: isProblem ? (JSON.parse(answer.body) as { code: unknown }).code : undefined };
}
