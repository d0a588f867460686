// One WebSocket between a browser and an upstream, from the handshake to the end of its connections. The proxy library carries the bytes;
// what is ours is when it ends (OWASP ASVS 5.0 7.4.1), and that no half frame is left behind where it can be helped.
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PosternError } from '../errors.ts';
import type { SessionStream } from '../session/streams.ts';
import type { BuildResponseHeaders } from './response-headers.ts';
import { limitTime } from './time-limits.ts';
import type { UpstreamTimeLimits } from './time-limits.ts';
import type { UpgradeExchange } from './upstream-connections.ts';
import { asPosternError } from './upstream-failure.ts';
import { closeFrameFor } from './websocket-close.ts';
import type { TunnelEnd } from './websocket-close.ts';
import { FrameFollower } from './websocket-frames.ts';
import { acceptanceHeaders, isAccepted, refusalHeaders } from './websocket-handshake.ts';

/** How long a tunnel may live, in ms. */
export interface TunnelLifetime {
  /** Without a byte in either direction. */
  idleMs: number;
  maxAgeMs: number | undefined;
}

export interface TunnelOptions {
  request: IncomingMessage;
  /** Not ended yet; ends the handshake where it is refused here. */
  response: ServerResponse;
  timeLimits: UpstreamTimeLimits;
  lifetime: TunnelLifetime;
  toClient: BuildResponseHeaders;
  /** Answers a handshake that did not come about, other than by the upstream's own refusal. Called at most once. */
  onFailure: (error: PosternError) => void;
  onOpen: () => void;
  /** The client has sent something. */
  onClientBytes: (() => void) | undefined;
  /** Only after onOpen, once. */
  onClose: (by: TunnelEnd | 'client' | 'upstream') => void;
}

/** A client whose connection has silently gone is found out after this long, plus what the system's own probes take. */
const keepAliveMs = 60_000;
/** What a closed side is given to close the other way too. */
const lingerMs = 2_000;

/** To be registered as a stream and then given to the connection, which calls the rest. */
export class Tunnel implements UpgradeExchange, SessionStream {
  readonly kind = 'websocket';
  readonly #options: TunnelOptions;
  readonly #socket: Socket;
  /** The key, before the request's own headers are replaced. */
  readonly #key: string | undefined;
  readonly #upstreamFrames = new FrameFollower();
  readonly #clientFrames = new FrameFollower();
  #state: 'asking' | 'refused' | 'open' | 'over' = 'asking';
  #upstreamRequest: ClientRequest | undefined;
  #upstreamSocket: Socket | undefined;
  /** Who has sent a Close frame first: in good order it is always the upstream that closes the connection (RFC 6455 section 7.1.1). */
  #closedBy: 'client' | 'upstream' | undefined;
  #endedBy: TunnelEnd | 'client' | 'upstream' | undefined;

  constructor(options: TunnelOptions) {
    this.#options = options;
    this.#socket = options.request.socket;
    this.#key = options.request.headers['sec-websocket-key'];
    // A client that closes its side during the handshake has gone: it could not even say so in a frame.
    this.#socket.once('end', () => {
      if (this.#state === 'asking') this.#socket.destroy();
    });
    this.#socket.once('close', () => this.#upstreamRequest?.destroy());
  }

  connected(upstreamRequest: ClientRequest): void {
    this.#upstreamRequest = upstreamRequest;
    // The client has gone, or its session has, while the connection was made.
    if (this.#state !== 'asking' || this.#socket.destroyed) upstreamRequest.destroy();
    else limitTime(upstreamRequest, this.#options.timeLimits);
  }

  switched(upstreamResponse: IncomingMessage, upstreamSocket: Socket): OutgoingHttpHeaders {
    this.#upstreamSocket = upstreamSocket;
    if (this.#state !== 'asking' || !isAccepted(this.#key, upstreamResponse.headers)) {
      upstreamSocket.destroy();
      this.#fail(new PosternError('upstream_invalid', { cause: new Error('The 101 does not answer this handshake') }));
      // At once: the library writes its 101 all the same, and finds the connection ended.
      this.#socket.destroySoon();
      return {};
    }
    this.#state = 'open';
    this.#upstreamRequest = undefined;
    this.#options.response.statusCode = upstreamResponse.statusCode ?? 101;
    this.#follow(upstreamSocket);
    this.#options.onOpen();
    return acceptanceHeaders(upstreamResponse, this.#options.toClient);
  }

  refused(upstreamResponse: IncomingMessage): OutgoingHttpHeaders {
    this.#state = 'refused';
    this.#options.response.statusCode = upstreamResponse.statusCode ?? 0;
    this.#socket.setTimeout(this.#options.timeLimits.idleMs, () => this.#socket.destroy());
    // The connection carries nothing after this answer, whatever the client makes of it.
    this.#socket.once('finish', () => this.#socket.destroy());
    return refusalHeaders(upstreamResponse, this.#options.toClient);
  }

  failed(error: NodeJS.ErrnoException): void {
    this.#fail(asPosternError(error));
  }

  tell(): void {
    // New tokens and coming ends are the app's to hear on /bff/events.
  }

  close(reason: TunnelEnd): void {
    switch (this.#state) {
      case 'asking':
        this.#fail(refusalFor(reason));
        this.#upstreamRequest?.destroy();
        return;
      case 'refused':
        this.#socket.destroy();
        return;
      case 'open':
        this.#cut(reason);
        return;
      case 'over':
    }
  }

  #fail(error: PosternError): void {
    if (this.#state !== 'asking') return;
    this.#state = 'over';
    if (!this.#socket.destroyed) this.#options.onFailure(error);
  }

  #follow(upstreamSocket: Socket): void {
    const socket = this.#socket;
    const { lifetime, onClientBytes } = this.#options;
    // Flowing from here on, it would lose what has come with the 101: the library gives that back to it, and pipes only then.
    upstreamSocket.pause();
    upstreamSocket.on('data', (chunk: Buffer) => {
      this.#upstreamFrames.follow(chunk);
      if (this.#upstreamFrames.hasClosed) this.#closedBy ??= 'upstream';
    });
    socket.on('data', (chunk: Buffer) => {
      this.#clientFrames.follow(chunk);
      if (this.#clientFrames.hasClosed) this.#closedBy ??= 'client';
      onClientBytes?.();
    });
    socket.setKeepAlive(true, keepAliveMs);
    socket.setTimeout(lifetime.idleMs, () => {
      if (this.#endedBy === undefined) this.#cut('idle-timeout');
      else socket.destroy();
    });
    const age =
      lifetime.maxAgeMs === undefined ? undefined : setTimeout(() => this.close('max-age'), lifetime.maxAgeMs).unref();

    // Each side that ends gives the other a moment: what is still under way may arrive.
    socket.once('end', () => this.#endedFrom('client'));
    upstreamSocket.once('end', () => this.#endedFrom('upstream'));
    upstreamSocket.once('close', () => {
      this.#endedFrom('upstream');
      socket.end();
    });
    // What the client still sends has nowhere to go. It is read all the same: behind it comes the end of the connection, and bytes left unread would
    // make the system reset it before our last frame has arrived.
    upstreamSocket.once('unpipe', () => socket.resume());
    // Before the response hears of it, and with it the log.
    socket.prependOnceListener('close', () => {
      this.#endedFrom('client');
      this.#state = 'over';
      clearTimeout(age);
      upstreamSocket.destroy();
      this.#options.onClose(this.#endedBy ?? 'client');
    });
  }

  #endedFrom(side: 'client' | 'upstream'): void {
    if (this.#endedBy !== undefined) return;
    this.#endedBy = this.#closedBy ?? side;
    this.#socket.setTimeout(lingerMs);
  }

  // From here on nothing passes in either direction, not even what has been read already.
  #cut(reason: TunnelEnd): void {
    const socket = this.#socket;
    this.#state = 'over';
    this.#endedBy ??= reason;
    this.#upstreamSocket?.unpipe(socket);
    socket.unpipe(this.#upstreamSocket);
    socket.removeAllListeners('data');
    this.#upstreamSocket?.destroy();
    // A frame of ours inside another one would be read as a piece of it.
    if (!this.#upstreamFrames.mayClose || socket.writableEnded) {
      socket.destroy();
      return;
    }
    socket.end(closeFrameFor(reason));
    const linger = setTimeout(() => socket.destroy(), lingerMs).unref();
    socket.once('close', () => clearTimeout(linger));
  }
}

function refusalFor(reason: TunnelEnd): PosternError {
  return reason === 'draining'
    ? new PosternError('overloaded', { retryAfterSeconds: 5 })
    : new PosternError('session_expired');
}
