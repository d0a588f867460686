// What a WebSocket's client is told when Postern closes it (RFC 6455 section 7.4, the IANA registry of close codes).
import type { CloseReason } from '../session/streams.ts';
import { closeFrame } from './websocket-frames.ts';

/** Why Postern closes a WebSocket: with its session, with its process, or by a limit of its route. */
export type TunnelEnd = CloseReason | 'idle-timeout' | 'max-age';

/** The session is over: coming back makes sense after a login. */
const sessionOver = 4401;
/** Nobody is there. */
const goingAway = 1001;
/** Come back, after a random while. */
const serviceRestart = 1012;

/** The last frame of a WebSocket that is closed for that reason. */
export function closeFrameFor(end: TunnelEnd): Buffer {
  return closeFrame(codeOf(end), end);
}

function codeOf(end: TunnelEnd): number {
  switch (end) {
    // The browser has a new session, or will find another process.
    case 'replaced':
    case 'draining':
    case 'max-age':
      return serviceRestart;
    case 'idle-timeout':
      return goingAway;
    default:
      return sessionOver;
  }
}
