// Event streams that an API sends to a signed-in caller (WHATWG HTML 9.2): they end when the session ends, on whichever replica that was
// (OWASP ASVS 5.0 7.4.1). The browser asks again, and finds out why.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { PosternError } from '../errors.ts';
import { contextFor } from '../http/request-context.ts';
import { noRoom } from '../session/streams.ts';
import type { Streams } from '../session/streams.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** Ties an answer to the session it was asked for, before its head is written. What comes back is why there is no room for it. */
export type TieToSession = (request: IncomingMessage, response: ServerResponse, h: string) => PosternError | undefined;

/** The streams count as event streams of the session, together with those of /bff/events. */
export function createSessionTie(options: {
  streams: Pick<Streams, 'open'>;
  metrics: Pick<Metrics, 'eventStreams'>;
}): TieToSession {
  const { streams, metrics } = options;
  return function tie(request, response, h) {
    const opening = streams.open(h, {
      kind: 'events',
      tell: () => undefined,
      close(reason) {
        contextFor(request).closedBy = reason;
        response.destroy();
      },
    });
    if (opening.kind === 'full') return noRoom(opening);
    metrics.eventStreams.inc();
    response.once('close', () => {
      opening.leave();
      metrics.eventStreams.dec();
    });
    return undefined;
  };
}

/** Whether an answer is a stream of events, by its `rawHeaders`. */
export function isEventStream(rawHeaders: readonly string[]): boolean {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    // Asked of every answer: the length is cheaper than the name.
    if (name.length !== 12 || name.toLowerCase() !== 'content-type') continue;
    return /^\s*text\/event-stream\s*(?:;|$)/i.test(rawHeaders[at + 1] ?? '');
  }
  return false;
}
