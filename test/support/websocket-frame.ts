// WebSocket's framing (RFC 6455 section 5.2), as much of it as tests say and hear.
import { createHash } from 'node:crypto';

/** What a server answers to a handshake's key. */
export function acceptFor(key: string | undefined): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** A frame as a server sends it; with a mask, as a client does. */
export function frame(firstByte: number, payload: Buffer, mask?: Buffer): Buffer {
  const length = payload.length < 126 ? [payload.length] : payload.length < 65_536 ? [126] : [127];
  const extended = Buffer.alloc(length[0] === 126 ? 2 : length[0] === 127 ? 8 : 0);
  if (extended.length === 2) extended.writeUInt16BE(payload.length);
  if (extended.length === 8) extended.writeBigUInt64BE(BigInt(payload.length));
  const head = Buffer.from([firstByte, length[0]! | (mask === undefined ? 0 : 0x80)]);
  if (mask === undefined) return Buffer.concat([head, extended, payload]);
  return Buffer.concat([head, extended, mask, payload.map((byte, at) => byte ^ mask[at % 4]!)]);
}

export interface Frame {
  opcode: number;
  payload: Buffer;
  /** Bytes of the whole frame. */
  size: number;
}

/** The first whole frame of these bytes, unmasked; undefined while there is none. */
export function readFrame(bytes: Buffer): Frame | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes[1]! & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const maskBytes = (bytes[1]! & 0x80) === 0 ? 0 : 4;
  const start = 2 + extended + maskBytes;
  if (bytes.length < start) return undefined;
  const length = extended === 0 ? short : extended === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const size = start + length;
  if (bytes.length < size) return undefined;
  const mask = bytes.subarray(start - maskBytes, start);
  const payload = Buffer.from(bytes.subarray(start, size));
  if (maskBytes > 0) payload.forEach((byte, at) => (payload[at] = byte ^ mask[at % 4]!));
  return { opcode: bytes[0]! & 0x0f, payload, size };
}
