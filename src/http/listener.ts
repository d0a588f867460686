// Opening and closing what accepts connections.
import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { ListenAddress } from '../config/schema.ts';

const openSockets = new WeakMap<Server, Set<Socket>>();

/** Opens it; gives where, for people: `http://host:port`, or https. */
export async function listen(server: Server, { host, port }: ListenAddress): Promise<string> {
  rememberSockets(server);
  server.listen({ host, port });
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  const scheme = server instanceof HttpsServer ? 'https' : 'http';
  return `${scheme}://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

/** Accepts nothing more, and resolves when the last connection has ended. */
export async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  // What is under way leaves its connection open for a next request, which would be answered, and so on to the end of all patience.
  server.keepAliveTimeout = 1;
  server.close();
  server.closeIdleConnections();
  for (const socket of openSockets.get(server) ?? []) endSoon(socket);
  await closed;
}

function endSoon(socket: Socket & { _httpMessage?: ServerResponse | null }): void {
  // Browsers connect ahead of a request that may never come, and Node takes such a connection for a busy one.
  if (socket.bytesRead === 0) socket.destroy();
  // Says `Connection: close`, so that nobody in front sends a next request into a connection that is about to end (RFC 9112 section 9.6).
  else if (socket._httpMessage?.headersSent === false) socket._httpMessage.shouldKeepAlive = false;
}

function rememberSockets(server: Server): void {
  const sockets = new Set<Socket>();
  openSockets.set(server, sockets);
  server.on(server instanceof HttpsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
}
