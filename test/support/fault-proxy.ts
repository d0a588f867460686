// A TCP proxy in front of one server, for what networks do to it: nothing, cut, silence, delay.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface FaultProxy {
  readonly port: number;
  /** Everything passes again; connections that were cut stay cut. */
  heal(): void;
  /** Cuts every connection and every new one at once. */
  cut(): void;
  /** Breaks every connection by a TCP reset, once; new ones pass. */
  reset(): void;
  /** Connections stay open and nothing passes, in either direction: what is sent meanwhile arrives after `heal`. */
  silence(): void;
  /** Connections that have subscribed to a channel hear nothing more; everything else passes. */
  silenceSubscribers(): void;
  /** Each piece of either direction comes that much later. */
  delay(ms: number): void;
  close(): Promise<void>;
}

export async function startFaultProxy(target: { port: number }): Promise<FaultProxy> {
  let mode: 'pass' | 'cut' | 'silence' = 'pass';
  let delayMs = 0;
  const pairs = new Set<[Socket, Socket]>();
  const subscribers = new Set<Socket>();

  const server = createServer((client) => {
    if (mode === 'cut') {
      client.destroy();
      return;
    }
    const upstream = connect(target.port, '127.0.0.1');
    const pair: [Socket, Socket] = [client, upstream];
    pairs.add(pair);
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.on('data', (chunk: Buffer) => {
        if (from === client && /subscribe/i.test(chunk.toString('latin1'))) subscribers.add(upstream);
        if (delayMs === 0) to.write(chunk);
        else setTimeout(() => to.writable && to.write(chunk), delayMs);
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        pairs.delete(pair);
        subscribers.delete(upstream);
        to.destroy();
      });
      if (mode === 'silence') from.pause();
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  function cutAll(): void {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
  }

  return {
    port: (server.address() as AddressInfo).port,
    heal() {
      mode = 'pass';
      delayMs = 0;
      for (const pair of pairs) for (const socket of pair) socket.resume();
    },
    cut() {
      mode = 'cut';
      cutAll();
    },
    reset() {
      for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
    },
    silence() {
      mode = 'silence';
      for (const pair of pairs) for (const socket of pair) socket.pause();
    },
    silenceSubscribers() {
      for (const upstream of subscribers) upstream.pause();
    },
    delay(ms) {
      delayMs = ms;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      cutAll();
      await closed;
    },
  };
}
