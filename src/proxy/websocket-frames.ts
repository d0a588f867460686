// As much of WebSocket's framing as closing a connection in good order takes (RFC 6455 sections 5.2 and 5.5.1).
// Messages are none of our business: their bytes pass untouched, compressed or not.

const closeOpcode = 0x8;
const lowestLengths = 126;

/** Follows the frames of one direction, fed with its bytes as they pass, to know where a frame of ours may stand between them. */
export class FrameFollower {
  /** What is left of the masking key and the payload. */
  #bytesLeft = 0;
  /** Bytes of a header so far; 0 between frames. */
  #headerBytes = 0;
  #lengthBytesLeft = 0;
  #isMasked = false;
  #hasClosed = false;

  /** Whether a Close frame can be sent now: no frame is half sent, and none of that kind has been. */
  get mayClose(): boolean {
    return this.#bytesLeft === 0 && this.#headerBytes === 0 && !this.#hasClosed;
  }

  /** Whether a Close frame has begun. */
  get hasClosed(): boolean {
    return this.#hasClosed;
  }

  follow(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerBytes === 0 && this.#bytesLeft > 0) {
        const passed = Math.min(this.#bytesLeft, chunk.length - at);
        this.#bytesLeft -= passed;
        at += passed;
      } else {
        this.#takeHeaderByte(chunk[at] ?? 0);
        at += 1;
      }
    }
  }

  #takeHeaderByte(byte: number): void {
    this.#headerBytes += 1;
    if (this.#headerBytes === 1) {
      if ((byte & 0x0f) === closeOpcode) this.#hasClosed = true;
      return;
    }
    if (this.#headerBytes === 2) {
      this.#isMasked = (byte & 0x80) !== 0;
      const length = byte & 0x7f;
      this.#lengthBytesLeft = length < lowestLengths ? 0 : length === lowestLengths ? 2 : 8;
      this.#bytesLeft = this.#lengthBytesLeft === 0 ? length : 0;
    } else {
      this.#lengthBytesLeft -= 1;
      this.#bytesLeft = this.#bytesLeft * 256 + byte;
    }
    if (this.#lengthBytesLeft > 0) return;
    if (this.#isMasked) this.#bytesLeft += 4;
    this.#headerBytes = 0;
  }
}

/** A Close frame as a server sends it. `reason`: at most 123 bytes. */
export function closeFrame(code: number, reason: string): Buffer {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code);
  payload.write(reason, 2);
  return Buffer.concat([Buffer.from([0x80 | closeOpcode, payload.length]), payload]);
}
