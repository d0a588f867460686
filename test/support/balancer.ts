// A load balancer as clusters have them: asks each replica whether it is ready, and sends requests in turn to those that are, over connections that it keeps.
// What fails is not tried again.
import { once } from 'node:events';
import http, { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Postern } from './postern.ts';

export interface Balancer {
  address: string;
  /** Replicas that get requests now. */
  inService(): number;
  /** Puts a replica in the place of another. */
  replace(index: number, replica: Postern): void;
  stop(): Promise<void>;
}

const askEveryMs = 100;

/** Needs one good answer to send to a replica and one bad to stop. */
export async function startBalancer(replicas: readonly Postern[]): Promise<Balancer> {
  const places = replicas.map((replica) => ({ replica, ready: false }));
  const agent = new http.Agent({ keepAlive: true });
  let turn = 0;

  async function look(): Promise<void> {
    await Promise.all(
      places.map(async (place) => {
        const { replica } = place;
        const ready = await fetch(`${replica.operationsUrl}/readyz`).then(
          ({ status }) => status === 200,
          () => false,
        );
        if (place.replica === replica) place.ready = ready;
      }),
    );
  }

  const server = createServer((request, response) => {
    const ready = places.filter((place) => place.ready);
    const place = ready[(turn += 1) % ready.length];
    if (place === undefined) {
      response.writeHead(599).end('nobody is in service');
      return;
    }
    const { hostname, port } = new URL(place.replica.address);
    const { url, method, headers } = request;
    const sent = http.request({ agent, hostname, port, path: url, method, headers }, (answer) => {
      const fields = { ...answer.headers };
      delete fields.connection;
      response.writeHead(answer.statusCode ?? 599, fields);
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    sent.on('error', (error) =>
      response.headersSent ? response.destroy() : response.writeHead(599).end(String(error)),
    );
    request.pipe(sent);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await look();
  const timer = setInterval(() => void look(), askEveryMs);
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    inService: () => places.filter(({ ready }) => ready).length,
    replace: (index, replica) => void (places[index] = { replica, ready: false }),
    async stop() {
      clearInterval(timer);
      agent.destroy();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
