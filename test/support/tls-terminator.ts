// What stands in front of Postern where it is deployed: takes TLS off and passes the bytes on. Several sites share its port, told apart by name (SNI).
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { Relay } from './relay.ts';

export interface TlsTerminator {
  port: number;
  /** From now on connections for this host name go to `address`, `http://host:port`. */
  route(hostName: string, address: string): void;
  stop(): Promise<void>;
}

/** Terminates TLS for the names in the certificate. It adds no header and takes none away. */
export async function startTlsTerminator(certificate: { key: string; cert: string }): Promise<TlsTerminator> {
  const addresses = new Map<string, string>();
  const relay = new Relay();
  const terminator = createServer({ ...certificate, ALPNProtocols: ['http/1.1'] }, (browser) => {
    const address = addresses.get(String(browser.servername));
    if (address === undefined) browser.destroy();
    else relay.join(browser, address);
  });
  terminator.listen(0, '127.0.0.1');
  await once(terminator, 'listening');
  return {
    port: (terminator.address() as AddressInfo).port,
    route: (hostName, address) => void addresses.set(hostName, address),
    async stop() {
      relay.cut();
      terminator.close();
      await once(terminator, 'close');
    },
  };
}
