// What each end of a WebSocket is told as: codes that clients act on, so they do not change.
import { expect, test } from '@jest/globals';
import type { TunnelEnd } from '../../../src/proxy/websocket-close.ts';
import { closeFrameFor } from '../../../src/proxy/websocket-close.ts';
import { readFrame } from '../../support/websocket-frame.ts';

const codes: Record<TunnelEnd, number> = {
  logout: 4401,
  revoked: 4401,
  'back-channel': 4401,
  'front-channel': 4401,
  limit: 4401,
  admin: 4401,
  idle: 4401,
  absolute: 4401,
  unknown: 4401,
  replaced: 1012,
  draining: 1012,
  'max-age': 1012,
  'idle-timeout': 1001,
};

test.each(Object.entries(codes) as [TunnelEnd, number][])('%s is told as %i, by its name', (end, code) => {
  const { payload } = readFrame(closeFrameFor(end))!;
  expect([payload.readUInt16BE(), payload.subarray(2).toString()]).toEqual([code, end]);
});
