// GET /bff/events: what happens to the session, as server-sent events (WHATWG HTML 9.2), so that an app can say so before a call fails.
// It neither refreshes tokens nor keeps the session alive (RFC 10017 section 6.1.2.1).
import type { ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';
import { PosternError, storeAway } from '../errors.ts';
import type { SessionCookie } from '../session/cookie.ts';
import { noRoom } from '../session/streams.ts';
import type { CloseReason, SessionNews, SessionStream, Streams } from '../session/streams.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { SessionKey } from '../tokens/opened-session.ts';
import type { TokenVault } from '../tokens/token-vault.ts';
import type { RequireOwnPages } from './own-pages.ts';

export interface EventsOptions {
  cookie: SessionCookie;
  vault: Pick<TokenVault, 'load'>;
  streams: Streams;
  /** Without `requireHeader`: an EventSource sends no header of its own. */
  requireOwnPages: RequireOwnPages;
  /** In [0, 1): a replica that stops must not bring all its browsers to the next one in the same moment. */
  random: () => number;
  /** Between two signs of life on a quiet stream: shorter than the idle time-outs of proxies on the way. */
  heartbeatMs: number;
  metrics: Metrics;
}

const shortestRetryMs = 2_000;
const retrySpreadMs = 3_000;

/**
 * Answers 200 `text/event-stream` with the events `expiring`, `refreshed`, `replaced` and `ended`; 401 `session_required` or `session_expired`,
 * 403 `csrf_rejected`, 429 `rate_limited`, 503 `session_store_unavailable` or `overloaded`.
 */
export function createEvents(options: EventsOptions): RequestHandler {
  const { cookie, vault, streams, metrics } = options;

  async function requireSession(key: SessionKey): Promise<void> {
    const outcome = await vault.load(key);
    switch (outcome.kind) {
      case 'signed-in':
        return;
      case 'signed-out':
        throw new PosternError('session_expired');
      case 'unavailable':
        throw storeAway(outcome.cause);
    }
  }

  return async (request, response) => {
    const reading = cookie.read(request.headers.cookie);
    if (reading.kind !== 'absent') options.requireOwnPages(request);
    if (reading.kind !== 'valid') throw new PosternError('session_required');
    await requireSession(reading);
    // Who has gone meanwhile closes no more: the stream would stay in the register for good.
    if (response.destroyed) return;

    const opening = streams.open(reading.h, eventStream(response, options.heartbeatMs));
    if (opening.kind === 'full') throw noRoom(opening);
    metrics.eventStreams.inc();
    response.once('close', () => {
      opening.leave();
      metrics.eventStreams.dec();
    });
    send(response, `retry: ${Math.floor(shortestRetryMs + options.random() * retrySpreadMs)}\n\n`);
  };
}

function eventStream(response: ServerResponse, heartbeatMs: number): SessionStream {
  const heartbeat = setInterval(() => beat(response), heartbeatMs);
  response.once('close', () => clearInterval(heartbeat));
  return {
    kind: 'events',
    tell: (news) => send(response, describeNews(news)),
    close(reason) {
      send(response, describeEnd(reason));
      response.end();
      // The last event has this long to get through.
      heartbeat.refresh();
    },
  };
}

function describeNews(news: SessionNews): string {
  switch (news.what) {
    case 'expiring':
      return event('expiring', { reason: news.reason, expiresIn: Math.floor(news.endsInMs / 1000) });
    case 'refreshed':
      return event('refreshed', {});
  }
}

// A browser comes back by itself when a stream ends: after `replaced` with its new cookie, after a drain to another replica.
function describeEnd(reason: CloseReason): string {
  switch (reason) {
    case 'draining':
      return '';
    case 'replaced':
      return event('replaced', {});
    default:
      return event('ended', { reason });
  }
}

function event(name: string, data: Record<string, unknown>): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

// A reader that leaves unread what is long sent has gone to sleep or never meant to read: it is cut, and comes back if it is alive.
function beat(response: ServerResponse): void {
  if (response.writableNeedDrain || response.writableEnded) response.destroy();
  else send(response, ':\n\n');
}

// The first piece brings the head along, so that a stream can be told something as soon as it is in the register.
function send(response: ServerResponse, text: string): void {
  if (!response.headersSent) {
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      // nginx would hold events back until its buffer is full.
      'x-accel-buffering': 'no',
      connection: 'close',
    });
  }
  response.write(text);
}
