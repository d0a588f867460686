// A hop between a browser and a server that writes down every byte the server says: what is not in there, the browser never got.
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Relay } from './relay.ts';

export interface Wiretap {
  port: number;
  /** Where connections go on to, `http://host:port`. Needed before the first one. */
  listenTo(address: string): void;
  /** Everything the server has said so far, latin1. */
  heard(): string;
  stop(): Promise<void>;
}

export async function startWiretap(): Promise<Wiretap> {
  const chunks: Buffer[] = [];
  const relay = new Relay();
  let address = '';
  const tap = createServer((browser) => {
    relay.join(browser, address).on('data', (chunk) => chunks.push(chunk));
  });
  tap.listen(0, '127.0.0.1');
  await once(tap, 'listening');
  return {
    port: (tap.address() as AddressInfo).port,
    listenTo: (server) => void (address = server),
    heard: () => Buffer.concat(chunks).toString('latin1'),
    async stop() {
      relay.cut();
      tap.close();
      await once(tap, 'close');
    },
  };
}
