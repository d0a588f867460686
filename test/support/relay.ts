// Joins connections of a browser with connections to a server, byte for byte, for what stands between the two.
import net from 'node:net';
import type { Socket } from 'node:net';

export class Relay {
  readonly #sockets = new Set<Socket>();

  /** Connects to `address` (`http://host:port`) and joins the two; gives the server's side. Either end takes the other along. */
  join(browser: Socket, address: string): Socket {
    const { hostname, port } = new URL(address);
    const server = net.connect({ host: hostname, port: Number(port) });
    for (const [socket, other] of [
      [browser, server],
      [server, browser],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroySoon();
      });
    }
    browser.pipe(server).pipe(browser);
    return server;
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
