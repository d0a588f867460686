// Ports for a demo that must start beside whatever else runs on this machine, a second demo included.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server of the demo; `close` cuts the connections that are still open. */
export interface Listening {
  port: number;
  close: () => void;
}

/** Listens on 127.0.0.1, on `preferredPort` or the first free one after it. */
export async function listenNear(preferredPort: number, listener: RequestListener): Promise<Listening> {
  const port = await freePortNear(preferredPort);
  const server = createServer(listener);
  await bind(server, port, '127.0.0.1');
  return {
    port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The first port from `preferredPort` on that is free. */
export async function freePortNear(preferredPort: number): Promise<number> {
  for (let port = preferredPort; port < preferredPort + 100; port += 1) if (await isFree(port)) return port;
  throw new Error(`no free port from ${preferredPort} to ${preferredPort + 99}`);
}

/** Whether nobody listens there. Both loopbacks count: a browser that opens `localhost` may try either first. */
export async function isFree(port: number): Promise<boolean> {
  for (const host of ['127.0.0.1', '::1']) {
    const server = createServer();
    try {
      await bind(server, port, host);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    } finally {
      server.close();
    }
  }
  return true;
}

async function bind(server: Server, port: number, host: string): Promise<number> {
  server.listen(port, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
