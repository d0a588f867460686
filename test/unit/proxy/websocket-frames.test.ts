// Where a Close frame may stand: followed byte by byte and in pieces of every size, the answer is the same.
import { describe, expect, test } from '@jest/globals';
import { FrameFollower, closeFrame } from '../../../src/proxy/websocket-frames.ts';
import { frame, readFrame } from '../../support/websocket-frame.ts';

const mask = Buffer.from([1, 2, 3, 4]);
const sizes = [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 70_000];

/** After each byte, whether a Close frame could follow. */
function boundaries(bytes: Buffer): number[] {
  const follower = new FrameFollower();
  const places: number[] = [];
  for (let at = 0; at < bytes.length; at += 1) {
    follower.follow(bytes.subarray(at, at + 1));
    if (follower.mayClose) places.push(at + 1);
  }
  return places;
}

describe.each([
  ['unmasked', undefined],
  ['masked', mask],
])('%s frames', (_name, mask) => {
  test('of every length end where they end, and nowhere before', () => {
    const frames = sizes.map((size) => frame(0x82, Buffer.alloc(size, 0x88), mask));
    const ends = frames.map((_, index) => frames.slice(0, index + 1).reduce((sum, { length }) => sum + length, 0));
    expect(boundaries(Buffer.concat(frames))).toEqual(ends);
  });

  test('in pieces of every size end at the same places', () => {
    const bytes = Buffer.concat(sizes.map((size) => frame(0x82, Buffer.alloc(size), mask)));
    for (const step of [2, 3, 7, 64, 1_000, 65_536, bytes.length]) {
      const follower = new FrameFollower();
      for (let at = 0; at < bytes.length; at += step) follower.follow(bytes.subarray(at, at + step));
      expect(follower.mayClose).toBe(true);
    }
  });
});

test('a frame longer than four gigabytes is still under way after its first bytes', () => {
  const head = Buffer.from([0x82, 127, 0, 0, 0, 2, 0, 0, 0, 0]);
  const follower = new FrameFollower();
  follower.follow(Buffer.concat([head, Buffer.alloc(1_000)]));
  expect(follower.mayClose).toBe(false);
});

test('before any frame a Close frame may stand; after one, no second', () => {
  const follower = new FrameFollower();
  expect(follower.mayClose).toBe(true);
  follower.follow(frame(0x88, Buffer.from([0x03, 0xe8])));
  expect(follower.mayClose).toBe(false);
  follower.follow(frame(0x81, Buffer.from('x')));
  expect(follower.mayClose).toBe(false);
});

test('between the pieces of a message a Close frame may stand (RFC 6455 section 5.4)', () => {
  const follower = new FrameFollower();
  follower.follow(frame(0x01, Buffer.from('first half')));
  expect(follower.mayClose).toBe(true);
});

test('a Close frame carries its code and its reason, unmasked', () => {
  const bytes = closeFrame(4401, 'back-channel');
  expect(readFrame(bytes)).toEqual({
    opcode: 8,
    payload: Buffer.concat([Buffer.from([0x11, 0x31]), Buffer.from('back-channel')]),
    size: bytes.length,
  });
});
