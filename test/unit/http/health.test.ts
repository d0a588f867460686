// The operations listener on a real socket: which addresses exist, and for which methods.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { createOperations } from '../../../src/http/health.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';

let server: Server;

async function listen(admin?: RequestListener): Promise<string> {
  const health = { ready: true, parts: { store: 'up', provider: 'down' } } as const;
  const metrics = createMetrics();
  const exposition = (): Promise<string> => metrics.registry.metrics();
  server = createServer(createOperations({ health: () => health, exposition, metrics, admin }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(async () => {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
});

test.each(['GET', 'HEAD', 'POST', 'DELETE'])(
  '%s finds no administration while no token is configured, and nothing at an unknown address',
  async (method) => {
    const address = await listen();
    for (const path of ['/admin/sessions', '/admin/', '/', '/livez/', '/toString', '/metrics2']) {
      const response = await fetch(address + path, { method });
      expect([path, response.status, response.headers.get('allow')]).toEqual([path, 404, null]);
    }
  },
);

test.each(['/livez', '/readyz?full', '/metrics'])(
  '%s answers GET and HEAD, and 405 to every other method',
  async (path) => {
    const address = await listen();
    const statusOf = async (method: string): Promise<number> => (await fetch(address + path, { method })).status;
    expect(await Promise.all(['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS'].map(statusOf))).toEqual([
      200, 200, 405, 405, 405,
    ]);
    expect((await fetch(address + path, { method: 'POST' })).headers.get('allow')).toBe('GET, HEAD');
  },
);

test('an outage of a part shows in the readiness and in the metrics, and takes no replica out of service', async () => {
  const address = await listen();
  const readiness = await fetch(`${address}/readyz`);
  expect(readiness.status).toBe(200);
  expect(await readiness.json()).toEqual({ status: 'degraded', parts: { store: 'up', provider: 'down' } });
  const metrics = await (await fetch(`${address}/metrics`)).text();
  expect(metrics).toContain('postern_degraded{part="provider"} 1');
  expect(metrics).toContain('postern_degraded{part="store"} 0');
});

test('the administration answers every method below its address once it is there', async () => {
  const address = await listen((request, response) => response.end(`${request.method} ${request.url}`));
  const response = await fetch(`${address}/admin/sessions?sub=1`, { method: 'DELETE' });
  expect(await response.text()).toBe('DELETE /admin/sessions?sub=1');
});
