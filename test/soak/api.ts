// The API behind the Postern that is watched: every answer names the user whose token arrived, in the header `x-user`.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { decodeJwt } from 'jose';
import { PeerSocket } from '../support/socket-upstream.ts';
import { acceptFor } from '../support/websocket-frame.ts';
import { bulk, digestOf } from './bulk.ts';

export interface Api {
  url: string;
  /** Requests that have come and are neither answered nor cancelled. */
  underWay(): number;
  /** Bytes of answers and of requests that have gone through `/bulk`. */
  readonly moved: { sent: number; received: number };
  /** While it holds, `/bulk` reads no body. */
  hold(): { release(): void };
  stop(): Promise<void>;
}

type Answer = (request: IncomingMessage, response: ServerResponse, url: URL) => unknown;

export async function startApi(): Promise<Api> {
  const open = new Set<ServerResponse>();
  const tunnels = new Set<Socket>();
  const moved = { sent: 0, received: 0 };
  let released = Promise.resolve();

  const answers: Record<string, Answer> = {
    'GET /api/who': (_, response) => response.end(),
    'POST /api/echo': async (request, response) => response.end(await buffer(request)),
    'GET /api/bulk': (_, response, { searchParams }) =>
      pipeline(
        bulk(Number(searchParams.get('bytes')), (soFar) => (moved.sent = soFar)),
        response,
      ),
    'PUT /api/bulk': async (request, response) => {
      await released;
      request.on('data', (chunk: Buffer) => (moved.received += chunk.length));
      response.end(await digestOf(request));
    },
    'GET /api/events': (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const say = (): void => void response.write(`data: ${String(response.getHeader('x-user'))}\n\n`);
      say();
      const timer = setInterval(say, 50);
      response.on('close', () => clearInterval(timer));
    },
    // Until its client has had enough.
    'GET /api/never': () => undefined,
  };

  const server = createServer((request, response) => {
    open.add(response);
    response.on('close', () => open.delete(response));
    response.setHeader('x-user', userOf(request));
    const url = new URL(request.url ?? '/', 'http://api');
    const answer = answers[`${request.method} ${url.pathname}`];
    // A client that leaves is part of the game: what was asked for ends here too.
    if (answer === undefined) response.writeHead(404).end();
    else void Promise.resolve(answer(request, response, url)).catch(() => response.destroy());
  });
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    tunnels.add(socket);
    // Node leaves the other half open here.
    socket.on('end', () => socket.end());
    socket.on('close', () => tunnels.delete(socket));
    const accept = `Sec-WebSocket-Accept: ${acceptFor(request.headers['sec-websocket-key'])}`;
    const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', accept];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    new PeerSocket(request, socket, head).send(userOf(request));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    underWay: () => open.size + tunnels.size,
    moved,
    hold() {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      released = promise.then(() => undefined);
      return { release: () => resolve(undefined) };
    },
    async stop() {
      for (const socket of tunnels) socket.destroy();
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}

function userOf({ headers }: IncomingMessage): string {
  const token = headers.authorization?.replace(/^Bearer /, '');
  return token === undefined ? 'nobody' : String(decodeJwt(token).sub);
}
