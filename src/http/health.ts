// Liveness, readiness and metrics, on a listener that is never public (OWASP ASVS 5.0 V13.4.5).
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { ListenAddress } from '../config/schema.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { close, listen } from './listener.ts';

/** What readiness says. Only `ready` decides about traffic: an outage of a part must not take every replica out of service at once. */
export interface Health {
  /** Whether this process can answer anything at all: started, not draining. */
  ready: boolean;
  parts: Readonly<Record<string, 'up' | 'down'>>;
}

export interface OperationsOptions {
  health: () => Health | Promise<Health>;
  /** The metrics in Prometheus' text format. */
  exposition: () => Promise<string>;
  metrics: Metrics;
  /** Answers everything under /admin/, where it is given. */
  admin: RequestListener | undefined;
}

/** Opens the operations listener. Whoever still asks when it is closed is hung up on. */
export async function startOperations(
  at: ListenAddress,
  options: OperationsOptions,
): Promise<{ address: string; close(): Promise<void> }> {
  const server = createServer(createOperations(options));
  const address = await listen(server, at);
  return {
    address,
    close() {
      server.closeAllConnections();
      return close(server);
    },
  };
}

/** The request handler of the operations listener: GET /livez, /readyz, /metrics. 404 for other paths, whatever the method; 405. */
export function createOperations({ health, exposition, metrics, admin }: OperationsOptions): RequestListener {
  const answers = new Map<string, (response: ServerResponse) => void | Promise<void>>([
    ['/livez', (response) => sendJson(response, 200, { status: 'alive' })],
    ['/readyz', sendReadiness],
    ['/metrics', sendMetrics],
  ]);

  async function sendReadiness(response: ServerResponse): Promise<void> {
    const { ready, parts } = await health();
    const degraded = Object.values(parts).includes('down');
    sendJson(response, ready ? 200 : 503, { status: ready ? (degraded ? 'degraded' : 'ready') : 'not ready', parts });
  }

  async function sendMetrics(response: ServerResponse): Promise<void> {
    const { parts } = await health();
    for (const [part, state] of Object.entries(parts)) metrics.degraded.set({ part }, state === 'down' ? 1 : 0);
    const body = await exposition();
    response.writeHead(200, { 'content-type': metrics.registry.contentType, 'cache-control': 'no-store' }).end(body);
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0] ?? '';
    const send = answers.get(path);
    if (admin !== undefined && path.startsWith('/admin/')) {
      admin(request, response);
    } else if (send === undefined) {
      response.writeHead(404).end();
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
    } else {
      await send(response);
    }
  }

  return (request, response) => {
    answer(request, response).catch(() => response.destroy());
  };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}
